//! The command line.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::runtime::Builder;

use crate::{calls, ceiling, disk::Disk, lab::Lab, measure, report::Report, serve::Serve};

/// Measures the clinic against a bare echo of the same types, and what else its figures are.
///
/// Bookings are for 1,000 doctors with 100 existing bookings each; every server is a process of its own, over a fresh
/// copy of the store.
#[derive(Debug, Parser)]
#[command(name = "limits", version, args_conflicts_with_subcommands = true)]
pub struct Limits {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The servers under measurement, started by the command itself.
    #[command(hide = true)]
    Serve(Serve),
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `POST` against the echo.
    Ratio,
    /// Accepted, decided and told a second, with no delay.
    Whole,
    /// The same over RabbitMQ by an API, a worker and a notifier, against RabbitMQ alone. Needs `--broker`.
    Scaled,
    /// A lone client's latency.
    Lone,
    /// Many in flight.
    InFlight,
    /// Memory before the first request.
    Idle,
    /// A call by the client against one by bare reqwest.
    Calls,
    /// What `loadgen` can send on its own, and its memory for a million bookings. It must be built.
    Loadgen,
}

#[derive(Args, Debug)]
struct Measure {
    /// Where the stores are made: a directory on a real disk.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// RabbitMQ, for `scaled`: `amqp://user:password@127.0.0.1:5672`. Its queues there begin with `limits.`.
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// What to measure; everything unless given (`scaled` only with `--broker`), such as `--only ratio,whole`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Runs of each side.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How long a run against the echo lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of the generator.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Bookings of a run with no delay.
    #[arg(long, default_value_t = 100_000)]
    bookings: u64,
    /// Calls of a run of the client.
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// Bookings of the longest run of `loadgen`.
    #[arg(long, default_value_t = 1_000_000)]
    many: u64,
    /// Bookings in flight.
    #[arg(long, default_value_t = 10_000)]
    in_flight: usize,
    /// Runtime threads of every server; one a core unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Runtime threads of the generator; one a core unless given.
    #[arg(long)]
    generator_threads: Option<usize>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Limits {
    /// Does as told; the process's exit code says how it went.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let done = match self.command {
            Some(Command::Serve(serve)) => serve.run(),
            None => self.measure.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("limits: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Measure {
    fn run(&self) -> io::Result<()> {
        if self.only.contains(&Part::Scaled) && self.broker.is_none() {
            return Err(io::Error::other("`scaled` needs RabbitMQ: give its URL with --broker"));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (threads, generator_threads) = (self.threads.unwrap_or(cores), self.generator_threads.unwrap_or(cores));
        let disk = Disk::measure(&self.dir)?;
        if disk.is_memory() {
            return Err(io::Error::other("the directory is in memory, where a sync costs nothing: give one on a disk with --dir"));
        }
        let runtime = Builder::new_multi_thread().worker_threads(generator_threads).enable_all().build()?;
        let report = runtime.block_on(async {
            let lab = Lab::new(&self.dir, threads).await?;
            let mut report = Report {
                threads,
                generator_threads,
                connections: self.connections,
                ratio: None,
                whole: None,
                scaled: None,
                lone: None,
                in_flight: None,
                idle_mb: None,
                calls: None,
                loadgen: None,
                disk,
            };
            if self.wants(Part::Idle) {
                report.idle_mb = Some(measure::idle(&lab).await?);
            }
            if self.wants(Part::Calls) {
                report.calls = Some(calls::calls(&lab, self.runs, self.calls).await?);
            }
            if self.wants(Part::Loadgen) {
                report.loadgen = Some(ceiling::ceiling(&lab, self.runs, self.seconds, self.connections, self.many).await?);
            }
            if self.wants(Part::Lone) {
                report.lone = Some(measure::lone(&lab, &report.disk).await?);
            }
            if self.wants(Part::Ratio) {
                report.ratio = Some(measure::ratio(&lab, self.runs, self.seconds, self.connections).await?);
            }
            if self.wants(Part::Whole) {
                report.whole = Some(measure::whole(&lab, self.runs, self.bookings, self.connections).await?);
            }
            if let Some(broker) = self.broker.as_deref().filter(|_| self.wants(Part::Scaled)) {
                report.scaled = Some(measure::scaled(&lab, broker, self.runs, self.bookings, self.connections).await?);
            }
            if self.wants(Part::InFlight) {
                report.in_flight = Some(measure::in_flight(&lab, self.in_flight, self.connections).await?);
            }
            Ok::<_, io::Error>(report)
        })?;
        if self.json {
            println!("{}", serde_json::to_string(&report).map_err(io::Error::other)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Limits::command().debug_assert();
        assert!(Limits::try_parse_from(["limits", "--only", "ratio,in-flight"]).is_ok());
        assert!(Limits::try_parse_from(["limits", "--only", "nothing"]).is_err());
    }

    #[test]
    fn a_servers_arguments_are_read_back() {
        let arguments = Serve::arguments(crate::serve::Kind::Clinic, 2);
        let more = ["--store", "x.db", "--concurrency", "5", "--delay", "0", "10"].map(str::to_owned);
        let all = ["limits".to_owned()].into_iter().chain(arguments).chain(more);
        assert!(matches!(Limits::try_parse_from(all).unwrap().command, Some(Command::Serve(_))));
    }
}
