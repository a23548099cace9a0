//! Attempts.

use super::{super::Breach, Planted, id};

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
