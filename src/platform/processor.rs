//! What the CPU is and can do, and which system runs on it: for reports only.

use sysinfo::{CpuRefreshKind, System};

/// Threads that run at once.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's name as its maker gives it; `None` where the system does not tell.
pub fn name() -> Option<String> {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let brand = system.cpus().first()?.brand().trim().to_owned();
    (!brand.is_empty()).then_some(brand)
}

/// The operating system with its version; `None` where it does not tell.
pub fn system() -> Option<String> {
    System::long_os_version()
}

/// The instructions for arithmetic on many numbers at once that this processor has, widest first, such as
/// `x86_64: AVX-512, AVX2, FMA`.
pub fn instructions() -> String {
    let found = vector_instructions();
    if found.is_empty() { std::env::consts::ARCH.into() } else { format!("{}: {found}", std::env::consts::ARCH) }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn vector_instructions() -> String {
    let all = [
        ("AVX-512", std::is_x86_feature_detected!("avx512f")),
        ("AVX2", std::is_x86_feature_detected!("avx2")),
        ("FMA", std::is_x86_feature_detected!("fma")),
        ("SSE4.2", std::is_x86_feature_detected!("sse4.2")),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

#[cfg(target_arch = "aarch64")]
fn vector_instructions() -> String {
    "NEON".into() // part of the architecture
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_instructions() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_set_begins_with_the_architecture() {
        assert!(instructions().starts_with(std::env::consts::ARCH) && threads() >= 1);
        assert!(name().is_none_or(|name| !name.is_empty()));
    }
}
