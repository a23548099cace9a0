//! Does what a schedule says, when it says it, and undoes it.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, watch},
    time::sleep_until,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    fault::Kind,
    schedule::{Planned, Schedule},
    target::{Target, TargetError, Targets},
};
use crate::report::FaultMark;

/// A fault that was done, or is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// When it began, in milliseconds from the run's start.
    pub at_ms: u64,
    /// When its target was whole again.
    pub until_ms: Option<u64>,
    /// What.
    pub fault: Kind,
    /// To which target.
    pub target: String,
    /// To which of its instances: a container, a process.
    pub instance: Option<String>,
    /// How it went.
    pub outcome: Outcome,
}

impl Mark {
    /// The target, and which of its instances.
    fn whom(&self) -> String {
        match &self.instance {
            Some(instance) if *instance != self.target => format!("{} ({instance})", self.target),
            _ => self.target.clone(),
        }
    }
}

impl From<Mark> for FaultMark {
    fn from(mark: Mark) -> Self {
        let (fault, target, outcome) = (mark.fault.to_string(), mark.whom(), mark.outcome.to_string());
        Self { at_ms: mark.at_ms, until_ms: mark.until_ms, fault, target, outcome }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3} s  {:<7} {}", self.at_ms as f64 / 1000.0, self.fault, self.whom())?;
        write!(f, ": {}", self.outcome)?;
        let Some(until) = self.until_ms else { return Ok(()) };
        write!(f, ", {:.1} s", until.saturating_sub(self.at_ms) as f64 / 1000.0)
    }
}

/// How a fault went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is not over.
    UnderWay,
    /// Done, and undone.
    Done,
    /// It could not be done, or not undone.
    Failed(String),
    /// Its turn came when the run was over: its target was still under another one.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("under way"),
            Self::Done => f.write_str("done"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Skipped => f.write_str("skipped: the run was over"),
        }
    }
}

/// Does all faults of a schedule, from `began` on. One target is under one fault at a time: the next waits for the former's end.
/// Marks come into `marks` as they are made, in the order of their begin. Once told to stop, nothing new is begun, what lasts ends at
/// once, and it returns when every target is whole; it must be awaited to its end.
pub async fn conduct(schedule: &Schedule, targets: &Targets, began: Instant, stop: &CancellationToken, marks: &watch::Sender<Vec<Mark>>) {
    let (tasks, mut turns) = (TaskTracker::new(), HashMap::<&str, Arc<Mutex<()>>>::new());
    for planned in &schedule.faults {
        let target = targets.get(&planned.target).cloned();
        let turn = turns.entry(&planned.target).or_default().clone();
        let stage = Stage { planned: planned.clone(), began, stop: stop.clone(), marks: marks.clone() };
        tasks.spawn(async move {
            stage.wait().await;
            match target {
                Ok(target) => stage.play(&*target, &turn).await,
                Err(error) => drop(stage.mark(Outcome::Failed(error.to_string()))),
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

struct Stage {
    planned: Planned,
    began: Instant,
    stop: CancellationToken,
    marks: watch::Sender<Vec<Mark>>,
}

impl Stage {
    async fn wait(&self) {
        let due = self.began + Duration::from_millis(self.planned.at_ms);
        self.stop.run_until_cancelled(sleep_until(due.into())).await;
    }

    async fn play(&self, target: &dyn Target, turn: &Mutex<()>) {
        // Fair: who came first goes first, so that a replay has the same order.
        let turn = self.stop.run_until_cancelled(turn.lock()).await;
        if turn.is_none() || self.stop.is_cancelled() {
            self.mark(Outcome::Skipped);
            return;
        }
        let place = self.mark(Outcome::UnderWay);
        let outcome = match self.strike(target, place).await {
            Ok(()) => Outcome::Done,
            Err(error) => {
                let mut why = error.to_string();
                // Half done is undone as well.
                if let Err(error) = target.whole().await {
                    why = format!("{why}; and it is not whole again: {error}");
                }
                Outcome::Failed(why)
            }
        };
        let until = self.now();
        self.marks.send_modify(|marks| {
            marks[place].until_ms = Some(until);
            marks[place].outcome = outcome;
        });
    }

    async fn strike(&self, target: &dyn Target, place: usize) -> Result<(), TargetError> {
        let Planned { fault, lasts_ms, pick, .. } = self.planned;
        let instance = target.begin(fault, pick).await?;
        self.marks.send_modify(|marks| marks[place].instance = Some(instance.clone()));
        self.stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(lasts_ms))).await;
        target.end(fault, &instance).await
    }

    /// Adds a mark of now; gives its place.
    fn mark(&self, outcome: Outcome) -> usize {
        let Planned { fault, ref target, .. } = self.planned;
        let mark = Mark { at_ms: self.now(), until_ms: None, fault, target: target.clone(), instance: None, outcome };
        let mut place = 0;
        self.marks.send_modify(|marks| {
            place = marks.len();
            marks.push(mark);
        });
        place
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use async_trait::async_trait;

    use super::*;

    /// Notes what is done to it; what `fails` names cannot be done.
    #[derive(Default)]
    struct Fake {
        done: StdMutex<Vec<String>>,
        fails: Option<&'static str>,
    }

    impl Fake {
        fn note(&self, what: String) -> Result<(), TargetError> {
            let is_refused = self.fails.is_some_and(|fails| what.starts_with(fails));
            self.done.lock().unwrap().push(what);
            if is_refused { Err(TargetError::Gone("as planted".into())) } else { Ok(()) }
        }

        fn done(&self) -> Vec<String> {
            self.done.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Target for Fake {
        async fn takes(&self, kind: Kind) -> Result<(), TargetError> {
            self.note(format!("takes {kind}"))
        }

        async fn begin(&self, kind: Kind, pick: u32) -> Result<String, TargetError> {
            self.note(format!("begin {kind}")).map(|()| format!("number {pick}"))
        }

        async fn end(&self, kind: Kind, instance: &str) -> Result<(), TargetError> {
            self.note(format!("end {kind} of {instance}"))
        }

        async fn whole(&self) -> Result<(), TargetError> {
            self.note("whole".into())
        }
    }

    fn planned(at_ms: u64, fault: Kind, lasts_ms: u64) -> Planned {
        Planned { at_ms, fault, target: "worker".into(), lasts_ms, pick: 3 }
    }

    async fn conducted(fake: Fake, faults: Vec<Planned>, stop_when: impl Fn(&[Mark]) -> bool) -> (Vec<String>, Vec<Mark>) {
        let (fake, stop, marks) = (Arc::new(fake), CancellationToken::new(), watch::Sender::new(Vec::new()));
        let mut targets = Targets::default();
        targets.add("worker", fake.clone());
        let mut watched = marks.subscribe();
        let schedule = Schedule { seed: 0, faults };
        let conducting = conduct(&schedule, &targets, Instant::now(), &stop, &marks);
        let stopping = async {
            if watched.wait_for(|marks| stop_when(marks)).await.is_ok() {
                stop.cancel();
            }
        };
        let ((), ()) = tokio::join!(conducting, stopping);
        let marks = marks.borrow().clone();
        (fake.done(), marks)
    }

    #[tokio::test]
    async fn a_fault_is_done_and_undone_and_noted() {
        let (done, marks) =
            conducted(Fake::default(), vec![planned(5, Kind::Pause, 10)], |marks| marks.iter().any(|mark| mark.outcome == Outcome::Done))
                .await;
        assert_eq!(done, ["begin pause", "end pause of number 3"]);
        assert_eq!((marks[0].outcome.clone(), marks[0].instance.as_deref()), (Outcome::Done, Some("number 3")));
        assert!(marks[0].at_ms >= 5 && marks[0].until_ms >= Some(marks[0].at_ms + 10));
    }

    #[tokio::test]
    async fn a_fault_that_fails_says_why_and_its_target_is_made_whole() {
        for fails in ["begin", "end"] {
            let fake = Fake { fails: Some(fails), ..Fake::default() };
            let (done, marks) =
                conducted(fake, vec![planned(0, Kind::Cut, 1)], |marks| marks.iter().any(|mark| mark.until_ms.is_some())).await;
            assert_eq!(done.last().unwrap(), "whole");
            assert_eq!(marks[0].outcome, Outcome::Failed("it is gone: as planted".into()));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_made_whole_is_said_too() {
        let fake = Fake { fails: Some(""), ..Fake::default() };
        let (_, marks) = conducted(fake, vec![planned(0, Kind::Kill, 0)], |marks| marks.iter().any(|mark| mark.until_ms.is_some())).await;
        assert!(marks[0].outcome.to_string().contains("it is not whole again: it is gone"));
    }

    #[tokio::test]
    async fn stopped_early_it_ends_what_lasts_and_begins_nothing_new() {
        let hour = 3_600_000;
        let faults = vec![planned(0, Kind::Pause, hour), planned(1, Kind::Cut, 5), planned(hour, Kind::Kill, 0)];
        let begun = |marks: &[Mark]| marks.iter().any(|mark| mark.instance.is_some());
        let (done, marks) = conducted(Fake::default(), faults, begun).await;
        assert_eq!(done, ["begin pause", "end pause of number 3"]);
        let outcomes: Vec<_> = marks.into_iter().map(|mark| mark.outcome).collect();
        assert_eq!(outcomes, [Outcome::Done, Outcome::Skipped, Outcome::Skipped]);
    }

    #[tokio::test]
    async fn a_target_is_under_one_fault_at_a_time() {
        let faults = vec![planned(0, Kind::Pause, 30), planned(10, Kind::Kill, 0)];
        let over = |marks: &[Mark]| marks.len() == 2 && marks.iter().all(|mark| mark.until_ms.is_some());
        let (done, _) = conducted(Fake::default(), faults, over).await;
        assert_eq!(done, ["begin pause", "end pause of number 3", "begin kill", "end kill of number 3"]);
    }

    #[tokio::test]
    async fn a_target_that_is_not_there_is_an_error_that_names_those_there_are() {
        let mut targets = Targets::default();
        targets.add("worker", Arc::new(Fake::default()));
        let schedule = Schedule { seed: 0, faults: vec![Planned { target: "wroker".into(), ..planned(0, Kind::Kill, 0) }] };
        let error = targets.check(&schedule).await.unwrap_err();
        assert_eq!(error.to_string(), r#"there is no target "wroker"; there are: worker"#);
    }

    #[tokio::test]
    async fn a_target_that_does_not_take_a_fault_is_an_error_before_anything_is_done() {
        let mut targets = Targets::default();
        let fake = Arc::new(Fake { fails: Some("takes wipe"), ..Fake::default() });
        targets.add("worker", fake.clone());
        let schedule = Schedule { seed: 0, faults: vec![planned(0, Kind::Kill, 0), planned(5, Kind::Wipe, 0), planned(9, Kind::Kill, 0)] };
        assert!(targets.check(&schedule).await.is_err());
        assert_eq!(fake.done(), ["takes kill", "takes wipe"]);
    }
}
