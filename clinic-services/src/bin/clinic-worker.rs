//! A worker of the clinic: decides bookings.

use std::process::ExitCode;

use clinic_services::{config::Program, run};

fn main() -> ExitCode {
    run::main(Program::Worker)
}
