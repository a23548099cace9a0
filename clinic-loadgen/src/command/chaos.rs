//! `loadgen chaos`.

use std::{
    fmt, io,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use clinic_client::{Client, Error, RetryPolicy};
use serde::Serialize;
use tempfile::NamedTempFile;
use thiserror::Error;
use tokio::{
    join, select,
    sync::watch,
    time::{sleep, timeout},
};

use super::{connect, interrupt::Interrupts, show};
use crate::{
    chaos::{
        Fault, Mark, Outcome, Schedule, TargetError, Targets,
        compose::{add_services, project_of},
        conduct,
        process::{ProcessName, Running, Started, Which},
        schedule::ScheduleError,
    },
    load::parse_duration,
    log::{Header, Log, LogError},
    report::{FaultMark, Report},
    run::{Controls, RunError, run},
    scenario::{Scenario, ScenarioError},
    series::Phase,
    verify::{Claims, verify},
    view::Watched,
};

/// How often a booking is asked for at most while the verdict is made.
const READS: u32 = 10;
/// How long a clinic that is started here may take to answer.
const ANSWERS: Duration = Duration::from_secs(30);
/// The cadence of a fault that has none, unless a quarter of the run is less.
const EVERY: Duration = Duration::from_secs(10);
/// No cadence is shorter.
const LEAST: Duration = Duration::from_millis(100);

/// What `loadgen chaos` takes.
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    #[command(flatten)]
    run: super::Run,
    /// What is done, and to what: kill, restart, pause, cut (off the network) or wipe (volumes emptied), such as kill:worker or
    /// pause:rabbitmq:3s. Several may be given.
    #[arg(long = "fault", value_name = "KIND:TARGET[:TIME]", required_unless_present = "schedule")]
    faults: Vec<Fault>,
    /// How often, on average: the first is that of the first fault, and so on; further faults have the last one. 10s unless set,
    /// or a quarter of the run where that is less.
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
    /// Nobody knows how long the run takes, and so when faults are to happen.
    #[error("a closed loop needs --duration, beside --requests: faults are drawn over its time")]
    Endless,
    /// The schedule is of no use.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A target is not there, or takes no such fault. Nothing was sent.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What the run was to do is not clear.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The run could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log could not be read back.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The bookings could not be read back.
    #[error("the bookings could not be read back")]
    Judge(#[source] Error),
    /// Signals cannot be listened for.
    #[error("Ctrl-C cannot be listened for")]
    Signals(#[source] io::Error),
    /// It was interrupted before anything was sent.
    #[error("interrupted before anything was sent")]
    Interrupted,
}

/// What became of a clinic that was broken on purpose.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Chaotic {
    /// The run, with what was done to the clinic and the verdict.
    #[serde(flatten)]
    pub report: Report,
    /// What was to be done; `--schedule` does it again.
    pub schedule: Schedule,
    /// How many faults could not be done: then less was proven than was asked for.
    pub failed: usize,
    /// What could not be made whole again, and why.
    pub not_whole: Vec<String>,
}

impl Chaotic {
    /// What keeps a run without a breach from being a good one.
    fn doubts(&self) -> Vec<&'static str> {
        let is_pending = self.report.verdict.as_ref().is_some_and(|verdict| verdict.pending > 0);
        let is_idle = self.report.faults.iter().all(|mark| mark.outcome != Outcome::Done.to_string());
        let doubts = [
            (is_idle && self.failed == 0, "no fault was done: the run was over before"),
            (self.failed > 0, "not every fault could be done"),
            (!self.not_whole.is_empty(), "not everything is whole again"),
            (self.report.verdict.is_none(), "it was interrupted before it could be judged"),
            (is_pending, "not all is decided yet, and in time: a longer --within waits for it"),
        ];
        doubts.into_iter().filter_map(|(applies, doubt)| applies.then_some(doubt)).collect()
    }

    /// Whether a promise was broken, or a threshold failed.
    fn is_bad(&self) -> bool {
        let is_broken = self.report.verdict.as_ref().is_some_and(|verdict| !verdict.breaches.is_empty());
        is_broken || self.report.thresholds.iter().any(|judged| judged.failed)
    }
}

impl fmt::Display for Chaotic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nfaults    {}, of which {} failed", self.report, self.report.faults.len(), self.failed)?;
        for FaultMark { at_ms, fault, target, outcome, .. } in self.report.faults.iter().filter(|mark| mark.outcome != "done") {
            write!(f, "\n  {:8.3} s  {fault} {target}: {outcome}", *at_ms as f64 / 1000.0)?;
        }
        for name in &self.not_whole {
            write!(f, "\n  not whole again: {name}")?;
        }
        let Some(verdict) = &self.report.verdict else { return Ok(()) };
        write!(f, "\nverdict   {}\n{verdict}", if verdict.breaches.is_empty() { "no promise was broken" } else { "PROMISES WERE BROKEN" })
    }
}

impl Chaos {
    pub(super) fn print(&self, chaotic: &Chaotic) -> ExitCode {
        show(chaotic, self.run.json);
        let written = self.run.write_page(&chaotic.report);
        if chaotic.is_bad() {
            return ExitCode::FAILURE;
        }
        let doubts = chaotic.doubts();
        doubts.iter().for_each(|doubt| eprintln!("loadgen: {doubt}"));
        if doubts.is_empty() { written } else { ExitCode::from(2) }
    }

    /// Makes the run, breaks the clinic meanwhile, and judges. The first Ctrl-C ends the sending and the faults, a later one the waiting;
    /// either way everything is whole again at the end.
    ///
    /// # Errors
    /// [`ChaosError`].
    pub async fn execute(&self) -> Result<Chaotic, ChaosError> {
        let scenario = self.run.what_to_do()?;
        let schedule = self.plan(&scenario)?;
        // Before anything is started that has to be stopped.
        let mut interrupts = Interrupts::listen().map_err(ChaosError::Signals)?;
        let targets = self.targets().await?;
        let chaotic = self.break_and_judge(&scenario, schedule, &targets, &mut interrupts).await;
        targets.leave().await;
        chaotic
    }

    fn plan(&self, scenario: &Scenario) -> Result<Schedule, ChaosError> {
        let schedule = match &self.schedule {
            Some(file) => Schedule::read(file)?,
            None => {
                let run = scenario.load.planned();
                if run == Duration::MAX {
                    return Err(ChaosError::Endless);
                }
                Schedule::draw(&self.paced(run)?, run, scenario.seed)
            }
        };
        if schedule.faults.is_empty() { Err(ChaosError::Short) } else { Ok(schedule) }
    }

    /// Each fault with its cadence.
    fn paced(&self, run: Duration) -> Result<Vec<(Fault, Duration)>, ChaosError> {
        if self.cadences.len() > self.faults.len() {
            return Err(ChaosError::Cadences);
        }
        if self.cadences.iter().any(|every| *every < LEAST) {
            return Err(ChaosError::Cadence);
        }
        let last = self.cadences.last().copied().unwrap_or_else(|| EVERY.min(run / 4).max(LEAST));
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
        scenario: &Scenario,
        schedule: Schedule,
        targets: &Targets,
        interrupts: &mut Interrupts,
    ) -> Result<Chaotic, ChaosError> {
        targets.check(&schedule).await?;
        let client = connect(&self.run.url, self.run.token.as_deref(), |client| scenario.set(client)).map_err(RunError::from)?;
        select! {
            answers = self.answers(&client) => answers?,
            () = interrupts.next() => return Err(ChaosError::Interrupted),
        }
        if !self.run.quiet {
            eprintln!("{schedule}");
        }
        let kept = NamedTempFile::new().map_err(RunError::Log)?;
        let path = self.run.log.clone().unwrap_or_else(|| kept.path().to_owned());
        let mut controls = Controls::default();
        let give_up = controls.give_up.clone();
        let (progress, marks) = (controls.progress.subscribe(), watch::Sender::new(Vec::new()));
        let header = Header::new(&self.run.url, scenario.seed);
        controls.log = Some(Log::create(&path, &header, controls.stop.clone()).map_err(RunError::Log)?);
        let view = self.run.view(Watched { progress, faults: Some((schedule.faults.clone(), marks.subscribe())) });
        let (stop, breaking) = (controls.stop.clone(), break_meanwhile(&client, scenario, controls, &schedule, targets, &marks));
        let ran = interrupts.heed(&stop, &give_up, &view, breaking).await;
        let not_whole = targets.whole().await.into_iter().map(|(name, error)| format!("{name}: {error}")).collect();
        let mut report = ran?;
        let (_, claims) = Claims::read(&path)?;
        let within = if give_up.is_cancelled() { Duration::ZERO } else { self.within };
        let client = connect(&self.run.url, self.run.token.as_deref(), |client| {
            client.timeout(scenario.timeout).retry(RetryPolicy::default().tries(READS).budget(u32::MAX))
        });
        let client = client.map_err(RunError::from)?;
        let verdict = select! {
            verdict = verify(&client, claims, self.attempts, within) => Some(verdict.map_err(ChaosError::Judge)?),
            () = interrupts.next() => None,
        };
        let marks = marks.borrow().clone();
        let failed = marks.iter().filter(|mark| matches!(mark.outcome, Outcome::Failed(_))).count();
        report.faults = marks.into_iter().map(FaultMark::from).collect();
        report.verdict = verdict;
        Ok(Chaotic { report, schedule, failed, not_whole })
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
        Ok(client.health().await.map(drop).map_err(RunError::Away)?)
    }
}

/// Makes a run and breaks its clinic as long as it sends. Every fault is over when this is.
async fn break_meanwhile(
    client: &Client,
    scenario: &Scenario,
    controls: Controls,
    schedule: &Schedule,
    targets: &Targets,
    marks: &watch::Sender<Vec<Mark>>,
) -> Result<Report, RunError> {
    let (over, mut progress) = (controls.stop.child_token(), controls.progress.subscribe());
    let running = async {
        let ran = run(client, scenario, controls).await;
        over.cancel();
        ran
    };
    let sending = async {
        // It says so before it waits for what is still undecided; who says nothing more has ended.
        let _ = progress.wait_for(|progress| matches!(progress.phase, Phase::Settling | Phase::Over)).await;
        over.cancel();
    };
    let (ran, (), ()) = join!(running, sending, conduct(schedule, targets, Instant::now(), &over, marks));
    ran
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::chaos::Kind;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        chaos: Chaos,
    }

    fn planned(arguments: &[&str]) -> Result<Schedule, ChaosError> {
        let Line { chaos } = Line::parse_from(["chaos", "--process", "clinic=4711"].iter().chain(arguments));
        chaos.plan(&chaos.run.what_to_do()?)
    }

    #[test]
    fn a_run_of_the_default_length_has_time_for_each_fault_whatever_the_seed() {
        for seed in 0..100 {
            let seed = seed.to_string();
            let faults = planned(&["--seed", &seed, "--fault", "kill:clinic", "--fault", "pause:clinic"]).unwrap().faults;
            let count = |kind| faults.iter().filter(|planned| planned.fault == kind).count();
            assert!(count(Kind::Kill) >= 2 && count(Kind::Pause) >= 2, "{faults:?}");
        }
    }

    #[test]
    fn a_long_run_has_a_fault_each_ten_seconds_and_a_cadence_that_is_set_is_kept() {
        let count =
            |arguments: &[&str]| planned(&[&["--fault", "kill:clinic", "--duration", "10m"], arguments].concat()).unwrap().faults.len();
        assert!((50..=70).contains(&count(&[])), "{}", count(&[]));
        assert!((9..=15).contains(&count(&["--every", "50s"])));
        assert!(matches!(planned(&["--fault", "kill:clinic", "--duration", "1s", "--every", "10s"]), Err(ChaosError::Short)));
    }
}
