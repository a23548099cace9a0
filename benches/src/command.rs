//! The command line.
use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use chrono::Utc;
use clap::{Args, Parser, Subcommand};
use tokio::{net::TcpListener, runtime::Builder};

use crate::{
    disk::Disk,
    generator::{Stop, drive},
    lab::Lab,
    process,
};

/// Measures.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Limits {
    #[command(subcommand)]
    serve: Option<Hidden>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Args, Debug)]
struct Serve {
    what: String,
    #[arg(long)]
    threads: usize,
}

#[derive(Args, Debug)]
struct Measure {
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, default_value_t = 2)]
    generator_threads: usize,
}

impl Limits {
    /// Does.
    pub fn execute(self) -> ExitCode {
        match self.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("limits: {error}");
                ExitCode::FAILURE
            }
        }
    }
    fn run(self) -> io::Result<()> {
        if let Some(Hidden::Serve(serve)) = self.serve {
            let runtime = Builder::new_multi_thread().worker_threads(serve.threads).enable_all().build()?;
            return runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                process::announce(listener.local_addr()?);
                axum::serve(listener, crate::echo::router(Utc::now())).await
            });
        }
        let measure = self.measure;
        let lab = Lab::new(&measure.dir, measure.threads)?;
        println!("{:?}", Disk::measure(lab.directory())?);
        let runtime = Builder::new_multi_thread().worker_threads(measure.generator_threads).enable_all().build()?;
        runtime.block_on(async {
            for _ in 0..3 {
                let stand = lab.echo()?;
                let outcome = drive(stand.server.address, &stand.template, 256, &stand.next, Stop::After(Duration::from_secs(3))).await?;
                println!("{} {:?} {} MB", outcome.rate(), outcome.other, stand.server.resident()? / 1_000_000);
            }
            Ok(())
        })
    }
}
