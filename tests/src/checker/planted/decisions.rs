//! What was accepted, once, without overlap, and decided once.

use super::{
    super::{AcceptedSeen, Breach},
    DAY, HOUR, Planted, id, notice,
};

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
