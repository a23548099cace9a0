//! Replays at the desk.

use rusqlite::params;

use super::{super::Breach, DAY, HOUR, Planted, id};

impl Planted {
    /// A booking that was rejected for want of an answer, kept, and replayed as another that was confirmed.
    fn replayed(&self, old: u128, new: u128) {
        let start = 20 * DAY + old as i64 * HOUR;
        self.accept(old);
        self.attempt(old, 2, 1);
        self.end(old, 3, "rejected", Some("availability_unreachable"), "sent");
        self.dead_letter(old, "decide", "availability_unreachable", None);
        self.store.execute("UPDATE dead_letter SET replayed_at = 0, replay = ?1 WHERE booking = ?1", [id(old).as_bytes()]).unwrap();
        self.entry(old, 4, "replayed", None, None);
        self.accept_at(new, start, DAY + 4000);
        self.entry(new, 2, "replayed", None, None);
        self.attempt(new, 5, 1);
        self.end(new, 6, "confirmed", None, "sent");
        let replays = "UPDATE booking SET replay_of = ?2, patient_id = ?3 WHERE id = ?1";
        self.store.execute(replays, params![id(new).as_bytes(), id(old).as_bytes(), format!("P{old}")]).unwrap();
        self.store.execute("UPDATE booking SET replayed_as = ?2 WHERE id = ?1", params![id(old).as_bytes(), id(new).as_bytes()]).unwrap();
    }

    #[track_caller]
    fn finds_amiss(&self, found: &[(u128, &str)]) {
        self.finds(&found.iter().map(|(number, what)| Breach::ReplayedAmiss(id(*number), (*what).to_owned())).collect::<Vec<_>>());
    }
}

#[test]
fn a_sound_replay() {
    let planted = Planted::new();
    planted.seen.once("P1");
    planted.replayed(1, 2);
    planted.finds(&[]);
}

#[test]
fn a_replay_of_nothing() {
    let planted = Planted::new();
    planted.confirmed(1);
    planted.entry(1, 4, "replayed", None, None);
    planted.run("UPDATE booking SET replay_of = zeroblob(16)");
    planted.finds_amiss(&[(1, &format!("it replays {}, which is not there", id(0)))]);
}

#[test]
fn a_replay_that_is_gone() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.run("UPDATE booking SET replayed_as = zeroblob(16) WHERE replayed_as IS NOT NULL");
    planted.finds_amiss(&[
        (1, &format!("it was replayed as {}, which is not there", id(0))),
        (2, &format!("it replays {}, which became Some({})", id(1), id(0))),
    ]);
}

#[test]
fn one_booking_replayed_as_two() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.store.execute_batch("DROP INDEX booking_replay").unwrap();
    planted.accept_at(3, 20 * DAY + 3 * HOUR, DAY + 5000);
    planted.entry(3, 2, "replayed", None, None);
    planted.end(3, 3, "confirmed", None, "sent");
    planted.store.execute("UPDATE booking SET replay_of = ?1 WHERE id = ?2", [id(1).as_bytes(), id(3).as_bytes()]).unwrap();
    planted.finds_amiss(&[(3, &format!("it replays {}, which became Some({})", id(1), id(2)))]);
}

#[test]
fn two_bookings_replayed_as_one() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.replayed(3, 4);
    planted.store.execute("UPDATE booking SET replayed_as = ?1 WHERE id = ?2", [id(2).as_bytes(), id(3).as_bytes()]).unwrap();
    planted.finds_amiss(&[
        (3, &format!("it was replayed as {}, which replays Some({})", id(2), id(1))),
        (4, &format!("it replays {}, which became Some({})", id(3), id(2))),
    ]);
}

#[test]
fn a_replayed_booking_that_is_rejected_no_more() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.run("UPDATE booking SET status = 'pending', reason = NULL WHERE replayed_as IS NOT NULL");
    planted.finds(&[
        Breach::Overlapping(id(1), id(2)),
        Breach::Flipped(id(1), "the timeline ends in rejected, the booking is pending".into()),
        Breach::Undecided(id(1)),
        Breach::ReplayedAmiss(id(1), "it was replayed and is pending".into()),
    ]);
}

#[test]
fn a_replay_of_another_visit_or_before_its_time() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.run("UPDATE booking SET patient_id = 'P9' WHERE replay_of IS NOT NULL");
    planted.finds_amiss(&[(2, &format!("it replays {}, which is another visit", id(1)))]);
    planted.run("UPDATE booking SET patient_id = 'P1', created_at = created_at - 3000 WHERE replay_of IS NOT NULL");
    let early = format!("it replays {}, which was not decided yet", id(1));
    planted.finds(&[Breach::Overlapping(id(1), id(2)), Breach::ReplayedAmiss(id(2), early)]);
}

#[test]
fn a_replay_that_its_letter_or_its_timeline_does_not_tell() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.run("UPDATE dead_letter SET replayed_at = NULL");
    planted.finds_amiss(&[(1, &format!("0 letters of its decision were replayed, it became Some({})", id(2)))]);
    planted.run("UPDATE dead_letter SET replayed_at = 0");
    planted.run("DELETE FROM timeline WHERE kind = 'replayed'");
    planted.finds_amiss(&[(1, "its timeline tells 0 replays, there were 1"), (2, "its timeline tells 0 replays, there were 1")]);
}

#[test]
fn a_letter_replayed_twice() {
    let planted = Planted::new();
    planted.replayed(1, 2);
    planted.entry(1, 9, "replayed", None, None);
    planted.finds_amiss(&[(1, "its timeline tells 2 replays, there were 1")]);
}
