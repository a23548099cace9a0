//! Each breach is planted in a hand-made store, and exactly it must be found.

mod attempts;
mod decisions;
mod notices;
mod replays;
mod told;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use tempfile::TempDir;
use uuid::Uuid;

use super::{AcceptedSeen, Breach, Expected, Observed, Told, check};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The id of the mail of a booking's event.
const fn mail(booking: u128, seq: i64) -> Uuid {
    Uuid::from_u128(booking * 1000 + 500 + seq as u128)
}

/// A store written by hand, and what was seen of it.
struct Planted {
    _folder: TempDir,
    path: PathBuf,
    store: Connection,
    seen: Observed,
    expected: Expected,
}

const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The id of the notice of a booking's event.
const fn notice(booking: u128, seq: i64) -> Uuid {
    Uuid::from_u128(booking * 1000 + seq as u128)
}

impl Planted {
    /// A store without rules, so that they can be broken.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("planted.db");
        let store = Connection::open(&path).unwrap();
        for version in schema() {
            store.execute_batch(&version).unwrap();
        }
        for rule in ["booking_no_overlap_insert", "booking_no_overlap_update", "booking_state_machine"] {
            store.execute_batch(&format!("DROP TRIGGER {rule}")).unwrap();
        }
        let expected = Expected { now_ms: 10 * DAY, ..Expected::finished() };
        Self { _folder: folder, path, store, seen: Observed::default(), expected }
    }

    fn run(&self, sql: &str) {
        assert!(self.store.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
    }

    /// A booking as it is right after its 202: of doctor D, an hour long, at its own hour of day 20.
    fn accept(&self, number: u128) {
        self.accept_at(number, 20 * DAY + number as i64 * HOUR, DAY);
    }

    /// The same, at another time and accepted at another moment.
    fn accept_at(&self, number: u128, start: i64, created: i64) {
        self.store
            .execute(
                "INSERT INTO booking (id, status, patient_id, doctor_id, start_at, end_at, timezone, language, created_at, decide_by, job)
                 VALUES (?1, 'pending', ?2, 'D', ?3, ?4, 'UTC', 'es', ?5, ?6, ?1)",
                params![id(number).as_bytes(), format!("P{number}"), start, start + HOUR, created, 2 * DAY],
            )
            .unwrap();
        self.see(number, start);
    }

    /// The 202 of a booking was seen.
    fn see(&self, number: u128, start: i64) {
        let accepted = AcceptedSeen { id: id(number), doctor: Some("D".into()), start, end: start + HOUR, key: Some(format!("K{number}")) };
        self.seen.accepted(accepted);
    }

    fn entry(&self, number: u128, seq: i64, kind: &str, attempt: Option<i64>, code: Option<&str>) {
        self.store
            .execute(
                "INSERT INTO timeline (booking, seq, at, kind, attempt, code, next_try) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?3)",
                params![id(number).as_bytes(), seq, DAY + seq * 1000, kind, attempt, code],
            )
            .unwrap();
    }

    fn attempt(&self, number: u128, seq: i64, attempt: i64) {
        self.entry(number, seq, "attempt", Some(attempt), Some("transient"));
        self.store.execute("UPDATE booking SET attempts = attempts + 1 WHERE id = ?1", [id(number).as_bytes()]).unwrap();
    }

    /// A booking's end and its ledger row, told when `state` is `sent`.
    fn end(&self, number: u128, seq: i64, kind: &str, reason: Option<&str>, state: &str) {
        self.entry(number, seq, kind, None, reason);
        self.store
            .execute("UPDATE booking SET status = ?2, reason = ?3 WHERE id = ?1", params![id(number).as_bytes(), kind, reason])
            .unwrap();
        self.store
            .execute(
                "INSERT INTO notice (booking, event_seq, channel, id, job, state, code) VALUES (?1, ?2, 'log', ?3, x'00', ?4, ?5)",
                params![id(number).as_bytes(), seq, notice(number, seq).as_bytes(), state, (state == "skipped").then_some("superseded")],
            )
            .unwrap();
        if state == "sent" {
            self.told(number, seq, kind, reason);
        }
    }

    fn told(&self, number: u128, seq: i64, kind: &str, reason: Option<&str>) {
        self.seen.line(&line(notice(number, seq), number, seq, kind, reason));
    }

    /// An event's ledger row on `email`, which is watched.
    fn mailed(&mut self, number: u128, seq: i64, state: &str) {
        let sql = "INSERT INTO notice (booking, event_seq, channel, id, job, state) VALUES (?1, ?2, 'email', ?3, x'00', ?4)";
        self.store.execute(sql, params![id(number).as_bytes(), seq, mail(number, seq).as_bytes(), state]).unwrap();
        if self.expected.watched.is_empty() {
            self.expected = self.expected.clone().watching("email");
        }
    }

    /// A mail arrived.
    fn arrives(&self, notice: Uuid, number: u128, event: &str, content: &str) {
        let (channel, event) = ("email".into(), Some(event.into()));
        self.seen.told([Told { channel, id: notice, booking: Some(id(number)), event, seq: None, content: content.into() }]);
    }

    fn dead_letter(&self, number: u128, kind: &str, code: &str, notice: Option<Uuid>) {
        self.store
            .execute(
                "INSERT INTO dead_letter (booking, kind, code, attempts, notice, at) VALUES (?1, ?2, ?3, 4, ?4, 0)",
                params![id(number).as_bytes(), kind, code, notice.as_ref().map(|id| id.as_bytes().to_vec())],
            )
            .unwrap();
    }

    /// A booking from its 202 to its notice.
    fn confirmed(&self, number: u128) {
        self.accept(number);
        self.attempt(number, 2, 1);
        self.end(number, 3, "confirmed", None, "sent");
    }

    #[track_caller]
    fn finds(&self, breaches: &[Breach]) {
        let report = check(&self.path, &self.seen.snapshot(), &self.expected).unwrap();
        assert_eq!(report.breaches, breaches, "{report}");
    }

    #[track_caller]
    fn finds_one(&self, is_it: impl Fn(&Breach) -> bool) {
        let report = check(&self.path, &self.seen.snapshot(), &self.expected).unwrap();
        assert!(report.breaches.len() == 1 && is_it(&report.breaches[0]), "{report}");
    }
}

/// The clinic's schema, a file a version: `schema.sql`, `schema2.sql` and so on.
fn schema() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clinic-core/src/store/sqlite");
    let file = |version: u32| if version == 1 { "schema.sql".to_owned() } else { format!("schema{version}.sql") };
    let versions: Vec<_> = (1..).map_while(|version| std::fs::read_to_string(folder.join(file(version))).ok()).collect();
    assert!(versions.len() >= 3, "only {} versions of the schema in {}", versions.len(), folder.display());
    versions
}

fn line(notice: Uuid, number: u128, seq: i64, kind: &str, reason: Option<&str>) -> String {
    let reason = reason.map_or_else(String::new, |reason| format!("reason={reason} "));
    format!("notice id={notice} booking={} event={kind} {reason}seq={seq} at=1970-01-02T00:00:00.000Z", id(number))
}

#[test]
fn a_sound_store_is_clean() {
    let planted = Planted::new();
    planted.confirmed(1);
    // Back to back with the first, rejected after four attempts and kept.
    planted.accept(2);
    for number in 1..=4 {
        planted.attempt(2, 1 + number, number);
    }
    planted.end(2, 6, "rejected", Some("availability_unreachable"), "sent");
    planted.dead_letter(2, "decide", "availability_unreachable", None);
    // Confirmed, cancelled before anybody was told, and told of the latter twice.
    planted.accept(3);
    planted.attempt(3, 2, 1);
    planted.end(3, 3, "confirmed", None, "skipped");
    planted.end(3, 4, "cancelled", None, "sent");
    planted.told(3, 4, "cancelled", None);
    // Takes the slot of the cancelled one at the very moment of its cancellation.
    planted.accept_at(4, 20 * DAY + 3 * HOUR, DAY + 4000);
    planted.end(4, 9, "confirmed", None, "sent");
    let report = check(&planted.path, &planted.seen.snapshot(), &planted.expected).unwrap();
    assert_eq!(report.breaches, [], "{report}");
    assert_eq!((report.bookings, report.accepted_seen, report.ended, report.lines, report.repeats), (4, 4, 4, 5, 1));
}

#[test]
fn a_file_that_is_no_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hello").unwrap();
    assert!(check(file.path(), &Observed::default().snapshot(), &Expected::finished()).is_err());
}
