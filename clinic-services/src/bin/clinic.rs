//! The clinic in one process, and its command line.

use std::process::ExitCode;

use clinic_services::{
    config::{Cli, Command},
    run::{self, RunError},
};

fn main() -> ExitCode {
    let (cli, effective) = Cli::from_process();
    let result = match cli.command {
        None => run::process(&cli.config),
        Some(Command::CheckConfig(config)) => run::builder(&config).map(|_| print!("{effective}")),
        Some(_) => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &RunError) -> ExitCode {
    eprintln!("clinic: {}", error.line());
    error.exit_code()
}
