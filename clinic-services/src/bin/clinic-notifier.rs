//! A notifier of the clinic: tells patients.

use std::process::ExitCode;

use clinic_services::{config::Program, run};

fn main() -> ExitCode {
    run::main(Program::Notifier)
}
