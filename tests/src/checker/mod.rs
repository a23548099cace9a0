//! The checker: holds a clinic's store against what was seen from outside of its process.
//!
//! It reads the store with plain SQL, has arithmetic of its own and shares no code with the clinic: a mistake in the
//! clinic's own rules cannot hide itself here. What it demands are the promises P1-P8 of the design.

mod attempts;
mod breach;
mod decisions;
mod facts;
mod notices;
mod observed;
mod overlap;
mod privacy;
mod reminders;
mod replays;
mod told;
#[cfg(test)]
mod planted;

use std::{collections::BTreeSet, fmt, path::Path};

pub use breach::Breach;
pub use facts::{Attempt, BookingRow, DeadLetterRow, Facts, FactsError, NoticeRow, TimelineRow, is_at_rest};
pub use observed::{AcceptedSeen, NoticeLine, Observed, Seen};
pub use privacy::leaks;
pub use told::Told;

/// What is demanded of a store, beside what always holds.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Attempts after the first (`CLINIC_RETRIES`).
    pub retries: u32,
    /// The configured channels: every decision has a settled notice on each.
    pub channels: Vec<String>,
    /// The channel whose lines were received; what its ledger calls sent must be among them.
    pub received: Option<String>,
    /// Channels leading outside whose arrivals were written down; what their ledger calls sent must be among them.
    pub watched: Vec<String>,
    /// Whether all work is said to be over: nothing may be undecided, untold or left over.
    pub finished: bool,
    /// Whether the availability check never failed: then nobody is rejected for another reason than `unavailable`.
    pub kills_only: bool,
    /// Now, in milliseconds since 1970; what is undecided so long after its `decide_by` plus `slack_ms` is a breach.
    pub now_ms: i64,
    /// How late a decision may be, in milliseconds.
    pub slack_ms: i64,
}

impl Expected {
    /// A store whose work is over, with the `log` channel received and the usual retries.
    #[must_use]
    pub fn finished() -> Self {
        Self {
            retries: 3,
            channels: vec!["log".into()],
            received: Some("log".into()),
            watched: Vec::new(),
            finished: true,
            kills_only: false,
            now_ms: chrono::Utc::now().timestamp_millis(),
            slack_ms: 10_000,
        }
    }

    /// A store in the middle of its work.
    #[must_use]
    pub fn under_way() -> Self {
        Self { finished: false, ..Self::finished() }
    }

    /// The same, where the availability check never failed.
    #[must_use]
    pub fn kills_only(mut self) -> Self {
        self.kills_only = true;
        self
    }

    /// The same, with one more channel, whose arrivals were written down.
    #[must_use]
    pub fn watching(mut self, channel: &str) -> Self {
        self.channels.push(channel.to_owned());
        self.watched.push(channel.to_owned());
        self
    }

    /// The same, with another number of retries.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every breach, in the order of the rules.
    pub breaches: Vec<Breach>,
    /// Bookings in the store.
    pub bookings: usize,
    /// Distinct bookings whose 202 was seen.
    pub accepted_seen: usize,
    /// Bookings that are confirmed, rejected and cancelled.
    pub ended: usize,
    /// Attempts that were lost.
    pub losses: usize,
    /// Notice lines received.
    pub lines: usize,
    /// Of these, repeats of an id.
    pub repeats: usize,
}

impl Report {
    /// Panics with the breaches listed, unless there is none.
    ///
    /// # Panics
    /// When a promise was broken.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.breaches.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bookings, accepted_seen, ended, losses, lines, repeats, breaches } = self;
        write!(f, "{bookings} bookings, {accepted_seen} seen accepted, {ended} ended, {losses} losses, ")?;
        write!(f, "{lines} notices received ({repeats} repeats), {} breaches", breaches.len())?;
        for breach in breaches.iter().take(40) {
            write!(f, "\n  - {breach}")?;
        }
        if breaches.len() > 40 {
            write!(f, "\n  ... and {} more", breaches.len() - 40)?;
        }
        Ok(())
    }
}

/// Checks a store file against what was seen. Take the snapshot `seen` before: all that it says must be in the store.
///
/// # Errors
/// [`FactsError`] when the store cannot be read.
pub fn check(store: &Path, seen: &Seen, expected: &Expected) -> Result<Report, FactsError> {
    let facts = Facts::read(store)?;
    Ok(judge(&facts, seen, expected))
}

/// Checks facts already read.
#[must_use]
pub fn judge(facts: &Facts, seen: &Seen, expected: &Expected) -> Report {
    let mut breaches = Vec::new();
    decisions::accepted_is_durable(facts, seen, &mut breaches);
    decisions::one_booking_a_key(facts, seen, &mut breaches);
    overlap::no_double_booking(facts, &mut breaches);
    decisions::one_decision(facts, seen, &mut breaches);
    decisions::all_decided(facts, expected, &mut breaches);
    attempts::bounded_and_without_gaps(facts, expected, &mut breaches);
    reminders::in_time(facts, &mut breaches);
    replays::one_to_one(facts, &mut breaches);
    notices::all_told(facts, seen, expected, &mut breaches);
    notices::told_under_one_id_in_order(facts, seen, &mut breaches);
    told::under_one_id_in_order(facts, seen, &mut breaches);
    told::sent_arrived(facts, seen, expected, &mut breaches);
    let distinct: BTreeSet<_> = seen.lines.iter().map(|line| line.id).collect();
    Report {
        breaches,
        bookings: facts.bookings.len(),
        accepted_seen: seen.accepted.iter().map(|accepted| accepted.id).collect::<BTreeSet<_>>().len(),
        ended: facts.bookings.values().filter(|booking| booking.status != "pending").count(),
        losses: facts.timeline.values().flatten().filter(|entry| entry.kind == "attempt_lost").count(),
        lines: seen.lines.len(),
        repeats: seen.lines.len() - distinct.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    /// A checker that shared code with the clinic would share its mistakes.
    #[test]
    fn the_checker_imports_nothing_of_the_clinic() {
        let (mut folders, mut read) = (vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/checker"))], 0);
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for part in ["core", "client", "services", "loadgen"] {
                    let name = format!("clinic_{part}");
                    assert!(!text.contains(&name), "{} names {name}", path.display());
                }
                read += 1;
            }
        }
        assert!(read >= 8, "only {read} files were found");
    }
}
