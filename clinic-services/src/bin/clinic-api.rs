//! The clinic's reception: accepts and shows bookings over HTTP.

use std::process::ExitCode;

use clinic_services::{config::Program, run};

fn main() -> ExitCode {
    run::main(Program::Api)
}
