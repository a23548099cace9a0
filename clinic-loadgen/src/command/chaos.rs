//! `loadgen chaos`.

use std::{
    fmt, io,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use clap::Args;
use clinic_client::{BuildError, Client, Error, RetryPolicy};
use serde::Serialize;
use tempfile::NamedTempFile;
use thiserror::Error;
use tokio::{
    join, select,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{connect, interrupt::Interrupts};
use crate::{
    chaos::{
        Fault, Mark, Outcome, Schedule, TargetError, Targets,
        compose::{add_services, project_of},
        conduct,
        process::{ProcessName, Running, Started, Which},
        schedule::ScheduleError,
    },
    draw::Draw,
    drive::drive,
    load::{Load, parse_duration},
    log::{Header, Log, LogError},
    report::Report,
    settle::settle,
    tally::Tally,
    verdict::Verdict,
    verify::{Claims, verify},
};

/// How long a clinic that is started here may take to answer.
const ANSWERS: Duration = Duration::from_secs(30);
/// The cadence of a fault that has none.
const EVERY: Duration = Duration::from_secs(10);

/// What `loadgen chaos` takes.
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    #[command(flatten)]
    run: super::Run,
    /// What is done, and to what: kill, restart, pause, cut (off the network) or wipe (volumes emptied), such as kill:worker or
    /// pause:rabbitmq:3s. Several may be given.
    #[arg(long = "fault", value_name = "KIND:TARGET[:TIME]", required_unless_present = "schedule")]
    faults: Vec<Fault>,
    /// How often, on average: the first is that of the first fault, and so on; further faults have the last one. 10s unless set.
    #[arg(long = "every", value_name = "TIME", value_parser = parse_duration)]
    cadences: Vec<Duration>,
    /// Does what another run did: a schedule, or what `loadgen chaos --json` printed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["faults", "cadences"])]
    schedule: Option<PathBuf>,
    /// The targets are the services of this Compose file, which run. With several containers one is chosen each time.
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    compose: Option<PathBuf>,
    /// The targets are the services of this Compose project, which run.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// A target that is a process: NAME=PID, or NAME='COMMAND LINE' of one that is started here, again after a kill, and stopped at the
    /// end. What that writes is thrown away, unless the command line says where to.
    #[arg(long = "process", value_name = "NAME=PROCESS")]
    processes: Vec<ProcessName>,
    /// How long the verdict waits at most until all is decided and told.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    within: Duration,
    /// How often a booking may be asked about: once and as often again as the clinic's CLINIC_RETRIES says.
    #[arg(long, default_value_t = 4)]
    attempts: u32,
}

/// Why a clinic could not be broken and judged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChaosError {
    /// A fault has a cadence too many.
    #[error("--every is given more often than --fault")]
    Cadences,
    /// A cadence is none.
    #[error("--every must be 100ms at least")]
    Cadence,
    /// The run is too short for any fault.
    #[error("no fault has time to happen: --duration is too short for --every")]
    Short,
    /// The schedule is of no use.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A target is not there, or takes no such fault. Nothing was sent.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The settings make no client.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The clinic does not answer.
    #[error("the clinic does not answer: is it running, and is this its URL?")]
    Away(#[source] Error),
    /// The log could not be written.
    #[error("the log could not be written")]
    Log(#[source] io::Error),
    /// The log could not be read back.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The bookings could not be read back.
    #[error("the bookings could not be read back")]
    Judge(#[source] Error),
    /// Signals cannot be listened for.
    #[error("Ctrl-C cannot be listened for")]
    Signals(#[source] io::Error),
    /// It was interrupted before anything was sent, or while waiting for the last decisions.
    #[error("interrupted before it could be judged; everything is whole again")]
    Interrupted,
}

/// What became of a clinic that was broken on purpose.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Chaotic {
    /// The run.
    #[serde(flatten)]
    pub report: Report,
    /// What was to be done; `--schedule` does it again.
    pub schedule: Schedule,
    /// What was done.
    pub faults: Vec<Mark>,
    /// What could not be made whole again, and why.
    pub not_whole: Vec<String>,
    /// Which promises were broken.
    pub verdict: Verdict,
}

impl Chaotic {
    /// Faults that could not be done: then little was proven.
    fn failed(&self) -> usize {
        self.faults.iter().filter(|mark| matches!(mark.outcome, Outcome::Failed(_))).count()
    }
}

impl fmt::Display for Chaotic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, faults, not_whole, verdict, .. } = self;
        let done = faults.iter().filter(|mark| mark.outcome == Outcome::Done).count();
        write!(f, "{report}\nfaults    {done} done, {} failed, {} skipped", self.failed(), faults.len() - done - self.failed())?;
        for mark in faults.iter().filter(|mark| mark.outcome != Outcome::Done) {
            write!(f, "\n  {mark}")?;
        }
        for name in not_whole {
            write!(f, "\n  not whole again: {name}")?;
        }
        write!(f, "\nverdict   {}\n{verdict}", if verdict.breaches.is_empty() { "no promise was broken" } else { "BROKEN PROMISES" })
    }
}

impl Chaos {
    pub(super) fn print(&self, chaotic: &Chaotic) -> ExitCode {
        if self.run.json {
            println!("{}", serde_json::to_string(chaotic).expect("a report always serialises"));
        } else {
            println!("{chaotic}");
        }
        if !chaotic.verdict.breaches.is_empty() {
            return ExitCode::FAILURE;
        }
        let mut doubts = Vec::new();
        if chaotic.failed() > 0 {
            doubts.push("not every fault could be done");
        }
        if !chaotic.not_whole.is_empty() {
            doubts.push("not everything is whole again");
        }
        if chaotic.verdict.pending > 0 {
            doubts.push("not all is decided yet, and in time: a longer --within waits for it");
        }
        doubts.iter().for_each(|doubt| eprintln!("loadgen: {doubt}"));
        if doubts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
    }

    /// Makes the run, breaks the clinic meanwhile, and judges. The first Ctrl-C ends the sending and the faults, a later one the waiting;
    /// either way everything is whole again at the end.
    ///
    /// # Errors
    /// [`ChaosError`].
    pub async fn execute(&self) -> Result<Chaotic, ChaosError> {
        let seed = self.run.seed.unwrap_or_else(rand::random);
        let schedule = self.plan(seed)?;
        // Before anything is started that has to be stopped.
        let mut interrupts = Interrupts::listen().map_err(ChaosError::Signals)?;
        let targets = self.targets().await?;
        let chaotic = self.break_and_judge(seed, schedule, &targets, &mut interrupts).await;
        targets.leave().await;
        chaotic
    }

    fn plan(&self, seed: u64) -> Result<Schedule, ChaosError> {
        let schedule = match &self.schedule {
            Some(file) => Schedule::read(file)?,
            None => Schedule::draw(&self.paced()?, self.run.duration, seed),
        };
        if schedule.faults.is_empty() { Err(ChaosError::Short) } else { Ok(schedule) }
    }

    /// Each fault with its cadence.
    fn paced(&self) -> Result<Vec<(Fault, Duration)>, ChaosError> {
        if self.cadences.len() > self.faults.len() {
            return Err(ChaosError::Cadences);
        }
        if self.cadences.iter().any(|every| *every < Duration::from_millis(100)) {
            return Err(ChaosError::Cadence);
        }
        let last = self.cadences.last().copied().unwrap_or(EVERY);
        let cadences = self.cadences.iter().copied().chain(std::iter::repeat(last));
        Ok(self.faults.iter().cloned().zip(cadences).collect())
    }

    async fn targets(&self) -> Result<Targets, TargetError> {
        let mut targets = Targets::default();
        let project = match (&self.compose, &self.project) {
            (Some(file), _) => Some(project_of(file).await?),
            (None, project) => project.clone(),
        };
        if let Some(project) = project {
            add_services(&project, &mut targets).await?;
        }
        for ProcessName { name, process } in &self.processes {
            match process {
                Which::Running(pid) => targets.add(name, Arc::new(Running::find(name, *pid)?)),
                Which::Started(command) => targets.add(name, Arc::new(Started::start(name, command)?)),
            }
        }
        Ok(targets)
    }

    async fn break_and_judge(
        &self,
        seed: u64,
        schedule: Schedule,
        targets: &Targets,
        interrupts: &mut Interrupts,
    ) -> Result<Chaotic, ChaosError> {
        targets.check(&schedule).await?;
        let run = &self.run;
        let retry = RetryPolicy::default().tries(run.tries).budget(u32::MAX);
        let client = connect(&run.url, run.token.as_deref(), |client| client.timeout(run.timeout).retry(retry))?;
        select! {
            answers = self.answers(&client) => answers?,
            () = interrupts.next() => return Err(ChaosError::Interrupted),
        }
        eprintln!("{schedule}");
        let kept = NamedTempFile::new().map_err(ChaosError::Log)?;
        let path = run.log.clone().unwrap_or_else(|| kept.path().to_owned());
        let draw = Draw::new(seed, run.doctors, run.slots, Utc::now());
        let stop = CancellationToken::new();
        let log = Log::create(&path, &Header::new(&run.url, seed), stop.clone()).map_err(ChaosError::Log)?;
        let (load, marks) = (run.load(), watch::Sender::new(Vec::new()));
        let (tally, took) = self.drive(&client, &draw, load, &log, &schedule, targets, &marks, &stop, interrupts).await;
        log.finish().await.map_err(ChaosError::Log)?;
        let not_whole = targets.whole().await.into_iter().map(|(name, error)| format!("{name}: {error}")).collect();
        let judging = async {
            let patient = client.clone();
            let settled = settle(&patient, &draw, &tally.accepted, run.settle).await.map_err(ChaosError::Judge)?;
            let (_, claims) = Claims::read(&path)?;
            let verdict = verify(&patient, claims, self.attempts, self.within).await.map_err(ChaosError::Judge)?;
            Ok::<_, ChaosError>((settled, verdict))
        };
        let (settled, verdict) = select! {
            judged = judging => judged?,
            () = interrupts.next() => return Err(ChaosError::Interrupted),
        };
        let report = Report::new(load, seed, &tally, took, settled);
        let faults = marks.borrow().clone();
        Ok(Chaotic { report, schedule, faults, not_whole, verdict })
    }

    /// One that is started here may take its time.
    async fn answers(&self, client: &Client) -> Result<(), ChaosError> {
        let is_started_here = self.processes.iter().any(|process| matches!(process.process, Which::Started(_)));
        let patience = if is_started_here { ANSWERS } else { Duration::ZERO };
        let asking = async {
            loop {
                if client.health().await.is_ok() {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        if !patience.is_zero() && timeout(patience, asking).await.is_ok() {
            return Ok(());
        }
        client.health().await.map(drop).map_err(ChaosError::Away)
    }

    #[expect(clippy::too_many_arguments, reason = "what a run is made of")]
    async fn drive(
        &self,
        client: &Client,
        draw: &Draw,
        load: Load,
        log: &Log,
        schedule: &Schedule,
        targets: &Targets,
        marks: &watch::Sender<Vec<Mark>>,
        stop: &CancellationToken,
        interrupts: &mut Interrupts,
    ) -> (Tally, Duration) {
        let over = stop.child_token();
        let driving = async {
            let driven = drive(client, draw, load, self.run.duration, Some(log.lines()), stop).await;
            over.cancel();
            driven
        };
        let interrupting = async {
            select! {
                () = interrupts.next() => {
                    eprintln!("loadgen: no more is sent and broken; waiting for the answers under way, and until everything is whole again");
                    stop.cancel();
                }
                () = over.cancelled() => {}
            }
        };
        let (driven, (), ()) = join!(driving, conduct(schedule, targets, Instant::now(), &over, marks), interrupting);
        driven
    }
}
