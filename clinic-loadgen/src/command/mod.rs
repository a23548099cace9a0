//! The command line.

mod again;
mod chaos;
mod interrupt;
mod run;
mod verify;

use std::{error::Error, fmt::Display, process::ExitCode};

use clap::{Parser, Subcommand};
use clinic_client::{BuildError, Builder, Client};
use serde::Serialize;

pub use self::{
    chaos::{Chaos, ChaosError, Chaotic},
    run::{Run, RunCommandError},
    verify::{Verify, VerifyError},
};

/// Drives a running clinic, says how it did, and whether it kept its promises.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
pub struct Loadgen {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Books for a while, waits until all is decided and told, prints the figures. Exits with 1 when something accepted was not,
    /// or when a figure is as it must not be.
    Run(Box<Run>),
    /// Does the same while it breaks the clinic by a schedule, makes it whole again, and reads back what became of it all. Exits with 1
    /// when a promise was broken, with 2 when that cannot be judged.
    Chaos(Box<Chaos>),
    /// Reads back what became of a run that wrote a log. Exits with 1 when a promise was broken, with 2 when that cannot be judged.
    Verify(Verify),
}

impl Loadgen {
    /// Does as told; the process's exit code says how it went.
    pub async fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(run) => run.execute().await.map_or_else(|error| complain(&error), |report| run.print(&report)),
            Command::Chaos(chaos) => chaos.execute().await.map_or_else(|error| complain(&error), |chaotic| chaos.print(&chaotic)),
            Command::Verify(verify) => verify.execute().await.map_or_else(|error| complain(&error), |verdict| verify.print(&verdict)),
        }
    }
}

fn complain(error: &dyn Error) -> ExitCode {
    eprintln!("loadgen: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(2)
}

/// Prints what came of a command.
fn show(outcome: &(impl Serialize + Display), as_json: bool) {
    if as_json {
        println!("{}", serde_json::to_string(outcome).expect("reports and verdicts always serialise"));
    } else {
        println!("{outcome}");
    }
}

/// A client of the clinic at `url`, set further by `set`.
fn connect(url: &str, token: Option<&str>, set: impl FnOnce(Builder) -> Builder) -> Result<Client, BuildError> {
    let client = Client::builder(url).user_agent(concat!("clinic-loadgen/", env!("CARGO_PKG_VERSION")));
    let client = if let Some(token) = token { client.token(token) } else { client };
    set(client).build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Loadgen::command().debug_assert();
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--rate", "0"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--rate", "5", "--connections", "5"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "run", "--connections", "5", "--duration", "1m"]).is_ok());
        assert!(Loadgen::try_parse_from(["loadgen", "chaos"]).is_err(), "nothing to do");
        assert!(
            Loadgen::try_parse_from(["loadgen", "chaos", "--fault", "kill:x", "--every", "5s", "--project", "p", "--rate", "5"]).is_ok()
        );
        assert!(Loadgen::try_parse_from(["loadgen", "chaos", "--fault", "kill:x", "--schedule", "f", "--project", "p"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "verify"]).is_err());
        assert!(Loadgen::try_parse_from(["loadgen", "verify", "--log", "run.log", "--within", "5s"]).is_ok());
    }
}
