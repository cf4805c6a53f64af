//! The program: picks a face, nothing else.

use std::process::ExitCode;

/// Tensors on the CPU are large and short-lived: an allocator that keeps their memory saves the system's zeroing it.
#[cfg(not(target_family = "wasm"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match artune::cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
