//! What the CPU is and can do, and which system runs on it: for reports only.

/// Threads that run at once; 1 on a page, whatever the processor could do.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's name as its maker gives it; `None` where the system does not tell.
#[cfg(not(target_family = "wasm"))]
pub fn name() -> Option<String> {
    let mut system = sysinfo::System::new();
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let brand = system.cpus().first()?.brand().trim().to_owned();
    (!brand.is_empty()).then_some(brand)
}

/// The operating system with its version; `None` where it does not tell.
#[cfg(not(target_family = "wasm"))]
pub fn system() -> Option<String> {
    sysinfo::System::long_os_version()
}

/// A browser does not tell.
#[cfg(target_family = "wasm")]
pub fn name() -> Option<String> {
    None
}

/// The browser, as it calls itself.
#[cfg(target_family = "wasm")]
pub fn system() -> Option<String> {
    web_sys::window()?.navigator().user_agent().ok()
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

#[cfg(target_family = "wasm")]
fn vector_instructions() -> String {
    if cfg!(target_feature = "simd128") { "SIMD128".into() } else { String::new() }
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64", target_family = "wasm")))]
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
