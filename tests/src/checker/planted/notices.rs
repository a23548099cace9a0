//! Notices of the log channel, and reminders.

use super::{super::Breach, Planted, id, line, notice};

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
