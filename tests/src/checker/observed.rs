//! What was seen from outside of the clinic's process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::Told;

/// A 202 that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedSeen {
    /// The booking.
    pub id: Uuid,
    /// The doctor, as answered.
    pub doctor: Option<String>,
    /// Start, in milliseconds since 1970.
    pub start: i64,
    /// End, in milliseconds since 1970.
    pub end: i64,
    /// The idempotency key it was asked for with.
    pub key: Option<String>,
}

/// A notice that arrived on the log channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeLine {
    /// The notice.
    pub id: Uuid,
    /// The booking.
    pub booking: Uuid,
    /// What it tells: `confirmed`, `rejected`, `cancelled`, `reminder`.
    pub event: String,
    /// Why, for a rejection.
    pub reason: Option<String>,
    /// The event's place in the booking's timeline.
    pub seq: i64,
    /// All of the line.
    pub content: String,
}

impl NoticeLine {
    /// Reads a line of the log channel, text or JSON; `None` when it is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            return Self::parse_json(line);
        }
        let (mut id, mut booking, mut event, mut reason, mut seq) = (None, None, None, None, None);
        for field in line.strip_prefix("notice ")?.split(' ') {
            match field.split_once('=')? {
                ("id", value) => id = value.parse().ok(),
                ("booking", value) => booking = value.parse().ok(),
                ("event", value) => event = Some(value.to_owned()),
                ("reason", value) => reason = Some(value.to_owned()),
                ("seq", value) => seq = value.parse().ok(),
                _ => {}
            }
        }
        Some(Self { id: id?, booking: booking?, event: event?, reason, seq: seq?, content: line.to_owned() })
    }

    fn parse_json(line: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            id: text("notice")?.parse().ok()?,
            booking: text("booking")?.parse().ok()?,
            event: text("event")?,
            reason: text("reason"),
            seq: value.get("seq")?.as_i64()?,
            content: line.to_owned(),
        })
    }
}

/// A snapshot of what was seen, each list in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Every 202 of `POST /book`.
    pub accepted: Vec<AcceptedSeen>,
    /// Every booking whose cancellation was answered with 200.
    pub cancelled: Vec<Uuid>,
    /// Every status that an answer showed.
    pub statuses: Vec<(Uuid, String)>,
    /// Every notice received.
    pub lines: Vec<NoticeLine>,
    /// Everything that arrived on channels leading outside.
    pub told: Vec<Told>,
    /// Patient ids that are used with one idempotency key each and must not name two bookings.
    pub once: Vec<String>,
    /// Lines on standard output that are no notices.
    pub garbled: Vec<String>,
}

/// The log kept outside of the clinic's process. Shared by all who see something.
#[derive(Debug, Default)]
pub struct Observed(Mutex<Seen>);

impl Observed {
    /// A 202 was seen.
    pub fn accepted(&self, accepted: AcceptedSeen) {
        self.lock().accepted.push(accepted);
    }

    /// A cancellation was answered with 200.
    pub fn cancelled(&self, booking: Uuid) {
        self.lock().cancelled.push(booking);
    }

    /// An answer showed a status.
    pub fn status(&self, booking: Uuid, status: &str) {
        self.lock().statuses.push((booking, status.to_owned()));
    }

    /// A whole line arrived on standard output.
    pub fn line(&self, line: &str) {
        match NoticeLine::parse(line) {
            Some(notice) => self.lock().lines.push(notice),
            None => self.lock().garbled.push(line.to_owned()),
        }
    }

    /// This patient id goes with one idempotency key: it must never name two bookings.
    pub fn once(&self, patient_id: &str) {
        self.lock().once.push(patient_id.to_owned());
    }

    /// These arrived on channels leading outside, in this order.
    pub fn told(&self, told: impl IntoIterator<Item = Told>) {
        self.lock().told.extend(told);
    }

    /// How many 202s were seen so far.
    #[must_use]
    pub fn accepted_so_far(&self) -> usize {
        self.lock().accepted.len()
    }

    /// How many notices arrived so far.
    #[must_use]
    pub fn lines_so_far(&self) -> usize {
        self.lock().lines.len()
    }

    /// All that was seen so far.
    #[must_use]
    pub fn snapshot(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_text_and_as_json() {
        let (id, booking) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let text = format!("notice id={id} booking={booking} event=rejected reason=unavailable seq=3 at=2027-01-01T00:00:00.000Z");
        let json = format!(r#"{{"notice":"{id}","booking":"{booking}","event":"rejected","reason":"unavailable","seq":3,"at":"x"}}"#);
        for line in [text, json] {
            let notice = NoticeLine::parse(&line).unwrap();
            assert_eq!((notice.id, notice.booking, notice.seq), (id, booking, 3));
            assert_eq!((notice.event.as_str(), notice.reason.as_deref()), ("rejected", Some("unavailable")));
        }
    }

    #[test]
    fn anything_else_is_kept_as_garbled() {
        let observed = Observed::default();
        for line in ["hello", "notice id=x booking=y event=confirmed seq=1", "{}", "notice"] {
            observed.line(line);
        }
        assert_eq!(observed.snapshot().garbled.len(), 4);
        assert_eq!(observed.lines_so_far(), 0);
    }
}
