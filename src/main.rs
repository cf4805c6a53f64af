//! The program: picks a face, nothing else.

/// Tensors on the CPU are large and short-lived: an allocator that keeps their memory saves the system's zeroing it.
#[cfg(not(target_family = "wasm"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    match artune::cli::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_family = "wasm")]
fn main() {
    construct();
    artune::ui::page::run();
}

/// Runs what registers itself before `main`: the compiler of kernels needs that. Because it is called here, the linker
/// does not put the same call before every entry into the program, which made a page on a GPU ten times slower.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the linker makes this function, which is safe to call once")]
fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    unsafe { __wasm_call_ctors() }
}
