//! The program: picks a face, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    match artune::cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
