//! Each breach is planted in a hand-made store, and exactly it must be found.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use tempfile::TempDir;
use uuid::Uuid;

use super::{AcceptedSeen, Breach, Expected, Observed, check};

const SCHEMA: &str = include_str!("../../../clinic-core/src/store/sqlite/schema.sql");
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

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
        store.execute_batch(SCHEMA).unwrap();
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
fn lost() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.see(2, 0);
    planted.finds(&[Breach::Lost(id(2))]);
}

#[test]
fn altered() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.run("UPDATE booking SET end_at = end_at + 60000");
    planted.finds(&[Breach::Altered(id(1))]);
}

#[test]
fn one_key_that_made_two_bookings() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.confirmed(2);
    planted.finds(&[]);
    let accepted = AcceptedSeen { key: Some("K1".into()), ..planted.seen.snapshot().accepted[1].clone() };
    planted.seen.accepted(accepted);
    planted.finds(&[Breach::DuplicateBooking(id(1), id(2))]);
}

#[test]
fn a_second_booking_whose_answer_nobody_saw() {
    let planted = Planted::new();
    planted.seen.once("P1");
    planted.confirmed(1);
    planted.confirmed(2);
    planted.run("UPDATE booking SET patient_id = 'P1'");
    planted.finds(&[Breach::DuplicateBooking(id(1), id(2))]);
}

#[test]
fn overlapping() {
    for apart in [0, 1, HOUR - 1] {
        let planted = Planted::new();
        planted.confirmed(1);
        planted.accept_at(2, 20 * DAY + HOUR + apart, DAY);
        planted.end(2, 2, "confirmed", None, "sent");
        planted.confirmed(9);
        planted.finds(&[Breach::Overlapping(id(1), id(2))]);
        planted.run("UPDATE booking SET doctor_id = NULL WHERE patient_id <> 'P1'");
        planted.finds(&[Breach::Altered(id(2)), Breach::Altered(id(9))]);
    }
}

#[test]
fn overlapping_for_a_while() {
    let planted = Planted::new();
    planted.accept(1);
    planted.end(1, 5, "rejected", Some("unavailable"), "sent");
    planted.accept_at(2, 20 * DAY + HOUR, DAY + 4999);
    planted.end(2, 6, "confirmed", None, "sent");
    planted.finds(&[Breach::Overlapping(id(1), id(2))]);
    planted.run(&format!("UPDATE booking SET created_at = {} WHERE patient_id = 'P2'", DAY + 5000));
    planted.finds(&[]);
}

#[test]
fn decided_twice() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.end(1, 4, "rejected", Some("unavailable"), "sent");
    planted.finds(&[Breach::DecidedTwice(id(1))]);
}

#[test]
fn an_end_taken_back() {
    let planted = Planted::new();
    planted.accept(1);
    planted.end(1, 2, "cancelled", None, "sent");
    planted.end(1, 3, "confirmed", None, "sent");
    planted.finds_one(|breach| matches!(breach, Breach::Flipped(_, what) if what == "cancelled became confirmed"));
}

#[test]
fn a_status_against_its_timeline() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.run("UPDATE booking SET status = 'cancelled'");
    planted.finds_one(|breach| matches!(breach, Breach::Flipped(..)));
}

#[test]
fn a_reason_against_its_timeline() {
    let planted = Planted::new();
    planted.accept(1);
    planted.end(1, 2, "rejected", Some("unavailable"), "sent");
    planted.run("UPDATE booking SET reason = 'deadline_passed'");
    planted.dead_letter(1, "decide", "deadline_passed", None);
    planted.finds_one(|breach| matches!(breach, Breach::Flipped(..)));
}

#[test]
fn a_status_that_was_seen_and_is_no_more() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.seen.status(id(1), "confirmed");
    planted.finds(&[]);
    planted.seen.status(id(1), "rejected");
    planted.finds_one(|breach| matches!(breach, Breach::Flipped(..)));
}

#[test]
fn a_cancellation_that_was_forgotten() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.seen.cancelled(id(1));
    planted.finds_one(|breach| matches!(breach, Breach::Flipped(..)));
}

#[test]
fn undecided() {
    let mut planted = Planted::new();
    planted.accept(1);
    planted.finds(&[Breach::Undecided(id(1))]);
    // In the middle of the work, only what is late.
    planted.expected.finished = false;
    planted.finds(&[Breach::Undecided(id(1))]);
    planted.expected.now_ms = 2 * DAY;
    planted.finds(&[]);
}

#[test]
fn a_job_left_over() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted
        .store
        .execute("INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (?1, 'tell', ?1, 0, 0)", [id(1).as_bytes()])
        .unwrap();
    planted.finds(&[Breach::LeftOver(id(1), "a tell job".into())]);
}

#[test]
fn too_many_attempts() {
    let planted = Planted::new();
    planted.accept(1);
    for number in 1..=5 {
        planted.attempt(1, 1 + number, number);
    }
    planted.end(1, 7, "confirmed", None, "sent");
    planted.finds(&[Breach::AttemptsAstray(id(1), "5 attempts, 4 are allowed".into())]);
}

#[test]
fn gaps_and_repeats_in_attempts() {
    for numbers in [[1, 3], [1, 1], [2, 3]] {
        let planted = Planted::new();
        planted.accept(1);
        planted.attempt(1, 2, numbers[0]);
        planted.attempt(1, 3, numbers[1]);
        planted.end(1, 4, "confirmed", None, "sent");
        planted.finds(&[Breach::AttemptsAstray(id(1), format!("numbered {numbers:?}"))]);
    }
}

#[test]
fn an_attempt_after_the_end_before_its_time_or_miscounted() {
    let planted = Planted::new();
    planted.accept(1);
    planted.end(1, 2, "confirmed", None, "sent");
    planted.attempt(1, 3, 1);
    planted.confirmed(2);
    planted.run("UPDATE booking SET attempts = 2 WHERE patient_id = 'P2'");
    planted.accept(3);
    planted.attempt(3, 2, 1);
    planted.attempt(3, 3, 2);
    planted.end(3, 4, "confirmed", None, "sent");
    planted.store.execute("UPDATE timeline SET next_try = at + 5000 WHERE booking = ?1", [id(3).as_bytes()]).unwrap();
    planted.finds(&[
        Breach::AttemptsAstray(id(1), "an attempt was stored after the end".into()),
        Breach::AttemptsAstray(id(2), "the booking counts 2, its timeline 1".into()),
        Breach::AttemptsAstray(id(3), "an attempt was made before its time".into()),
    ]);
}

#[test]
fn rejected_by_kills() {
    let mut planted = Planted::new();
    planted.accept(1);
    planted.end(1, 2, "rejected", Some("processing_failed"), "sent");
    planted.dead_letter(1, "decide", "processing_failed", None);
    planted.finds(&[]);
    planted.expected = planted.expected.clone().kills_only();
    planted.finds(&[Breach::RejectedByKills(id(1), "processing_failed".into())]);
}

#[test]
fn a_failure_without_its_dead_letter() {
    let planted = Planted::new();
    planted.accept(1);
    planted.end(1, 2, "rejected", Some("availability_refused"), "sent");
    planted.confirmed(2);
    planted.run("UPDATE notice SET state = 'failed' WHERE event_seq = 3");
    planted.finds(&[
        Breach::DeadLetterMissing(id(1), "availability_refused".into()),
        Breach::DeadLetterMissing(id(2), format!("notice {}", notice(2, 3))),
    ]);
}

#[test]
fn untold() {
    for (sql, why) in [
        ("DELETE FROM notice", "has no row in the ledger"),
        ("UPDATE notice SET state = 'pending'", "is not settled"),
        ("UPDATE notice SET state = 'skipped'", "was skipped without a reason"),
        ("UPDATE notice SET state = 'sent'", "was called sent and never arrived"),
    ] {
        let planted = Planted::new();
        planted.accept(1);
        planted.attempt(1, 2, 1);
        planted.end(1, 3, "confirmed", None, "failed");
        planted.run(sql);
        planted.finds(&[Breach::Untold(id(1), format!("confirmed on log {why}"))]);
    }
}

#[test]
fn untold_on_another_channel() {
    let mut planted = Planted::new();
    planted.confirmed(1);
    planted.expected.channels.push("email".into());
    planted.finds(&[Breach::Untold(id(1), "confirmed on email has no row in the ledger".into())]);
}

#[test]
fn a_reminder_nobody_was_told_of() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.entry(1, 4, "reminder", None, None);
    planted.finds(&[Breach::Untold(id(1), "reminder on log has no row in the ledger".into())]);
}

#[test]
fn a_reminder_of_a_visit_that_is_over_or_off() {
    let mut planted = Planted::new();
    planted.expected.finished = false;
    planted.confirmed(1);
    planted.entry(1, 4, "reminder", None, None);
    planted.run("UPDATE timeline SET at = 30 * 86400000 WHERE kind = 'reminder'");
    planted.accept(2);
    planted.end(2, 2, "rejected", Some("unavailable"), "sent");
    planted.entry(2, 3, "reminder", None, None);
    planted.finds(&[
        Breach::RemindedAmiss(id(1), "after the start".into()),
        Breach::RemindedAmiss(id(2), "of a visit that does not take place".into()),
    ]);
}

#[test]
fn a_notice_nobody_decided() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.accept(2);
    planted.end(2, 2, "confirmed", None, "skipped");
    planted.told(2, 2, "rejected", Some("unavailable"));
    planted.seen.line(&line(id(77), 3, 2, "confirmed", None));
    planted.finds(&[
        Breach::StrayNotice(id(2), format!("rejected {} tells what the timeline does not say", notice(2, 2))),
        Breach::StrayNotice(id(3), format!("confirmed {} is not in the ledger", id(77))),
    ]);
}

#[test]
fn a_repeat_is_fine_and_one_with_other_content_is_not() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.told(1, 3, "confirmed", None);
    planted.finds(&[]);
    planted.seen.line(&line(notice(1, 3), 1, 3, "confirmed", None).replace("at=1970", "at=1971"));
    planted.finds_one(|breach| matches!(breach, Breach::ToldTwice(..)));
}

#[test]
fn two_ids_for_one_event() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.seen.line(&line(id(9), 1, 3, "confirmed", None));
    planted.finds_one(|breach| matches!(breach, Breach::ToldTwice(..)));
}

#[test]
fn out_of_order() {
    let planted = Planted::new();
    planted.accept(1);
    planted.attempt(1, 2, 1);
    planted.end(1, 3, "confirmed", None, "skipped");
    planted.end(1, 4, "cancelled", None, "sent");
    planted.finds(&[]);
    planted.told(1, 3, "confirmed", None);
    planted.finds(&[Breach::OutOfOrder(id(1), "confirmed came after cancelled".into())]);
}

#[test]
fn a_repeated_confirmation_after_the_cancellation() {
    let planted = Planted::new();
    planted.accept(1);
    planted.attempt(1, 2, 1);
    planted.end(1, 3, "confirmed", None, "sent");
    planted.end(1, 4, "cancelled", None, "sent");
    planted.finds(&[]);
    planted.told(1, 3, "confirmed", None);
    planted.finds(&[Breach::OutOfOrder(id(1), "confirmed came after cancelled".into())]);
}

#[test]
fn a_file_that_is_no_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hello").unwrap();
    assert!(check(file.path(), &Observed::default().snapshot(), &Expected::finished()).is_err());
}
