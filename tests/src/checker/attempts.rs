//! P4: at most `1 + retries` attempts, numbered without gaps.

use super::{Breach, Expected, Facts};

pub(super) fn bounded_and_without_gaps(facts: &Facts, expected: &Expected, breaches: &mut Vec<Breach>) {
    for row in facts.bookings.values() {
        let attempts = facts.attempts(row.id);
        let numbers: Vec<i64> = attempts.iter().map(|attempt| attempt.number).collect();
        let most = i64::from(expected.retries) + 1;
        let end = facts.ends(row.id).next().map(|end| end.seq);
        let late = facts
            .timeline
            .get(&row.id)
            .into_iter()
            .flatten()
            .any(|entry| entry.kind == "attempt" && end.is_some_and(|end| entry.seq > end));
        let early = attempts.windows(2).any(|pair| pair[0].next_try.is_none_or(|next| pair[1].at < next));
        let astray = if !numbers.iter().copied().eq(1..=numbers.len() as i64) {
            format!("numbered {numbers:?}")
        } else if numbers.len() as i64 > most {
            format!("{} attempts, {most} are allowed", numbers.len())
        } else if row.attempts != numbers.len() as i64 {
            format!("the booking counts {}, its timeline {}", row.attempts, numbers.len())
        } else if late {
            "an attempt was stored after the end".to_owned()
        } else if early {
            "an attempt was made before its time".to_owned()
        } else {
            continue;
        };
        breaches.push(Breach::AttemptsAstray(row.id, astray));
    }
}
