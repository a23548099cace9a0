//! The `limits` command.

use std::process::ExitCode;

use clap::Parser;
use clinic_benches::command::Limits;

fn main() -> ExitCode {
    Limits::parse().execute()
}
