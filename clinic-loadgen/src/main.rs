//! The `loadgen` command.

use std::process::ExitCode;

use clap::Parser;
use clinic_loadgen::command::Loadgen;

#[tokio::main]
async fn main() -> ExitCode {
    Loadgen::parse().execute().await
}
