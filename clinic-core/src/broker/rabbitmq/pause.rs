use std::time::Duration;

use crate::chance::chance;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses between tries to connect: they double up to a second, and are jittered so that a fleet does not come back at once.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pauses {
    /// The next pause: from half its length to the whole of it.
    pub(super) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        whole.mul_f64(0.5 + chance() / 2.0)
    }

    /// Begins anew with short pauses.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_no_longer() {
        let mut pauses = Pauses::default();
        let taken: Vec<_> = (0..50).map(|_| pauses.next()).collect();
        assert!(taken[0] <= FIRST && taken[0] >= FIRST / 2);
        assert!(taken.iter().all(|pause| *pause <= LONGEST) && taken[5..].iter().all(|pause| *pause >= LONGEST / 2));
        pauses.reset();
        assert!(pauses.next() <= FIRST);
    }
}
