//! The clinic in one process.

use std::process::ExitCode;

use clinic_services::{config::Program, run};

fn main() -> ExitCode {
    run::main(Program::Clinic)
}
