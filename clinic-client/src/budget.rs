use std::sync::atomic::{AtomicU32, Ordering};

/// What one retry costs, so that a tenth of one can be given back.
const RETRY: u32 = 10;
/// What a call that is answered at once gives back.
const CREDIT: u32 = 1;

/// The retries that all calls of a client may spend in vain.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU32,
    whole: u32,
}

impl Budget {
    pub(crate) const fn new(retries: u32) -> Self {
        let whole = retries.saturating_mul(RETRY);
        Self { left: AtomicU32::new(whole), whole }
    }

    /// Takes a retry, if there is one left.
    pub(crate) fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(RETRY)).is_ok()
    }

    /// A call was answered, after so many retries.
    pub(crate) fn answered(&self, retries: u32) {
        // Mostly it is whole, and then nothing is written: clones on other cores share this line.
        if self.left.load(Ordering::Relaxed) < self.whole {
            let credit = if retries == 0 { CREDIT } else { retries.saturating_mul(RETRY) };
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_add(credit).min(self.whole)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_once_and_comes_back_slowly() {
        let budget = Budget::new(2);
        assert!(budget.take() && budget.take());
        assert!(!budget.take());
        for _ in 0..10 {
            assert!(!budget.take());
            budget.answered(0);
        }
        assert!(budget.take());
        assert!(!budget.take());
    }

    #[test]
    fn what_helped_costs_nothing() {
        let budget = Budget::new(2);
        for _ in 0..100 {
            assert!(budget.take() && budget.take());
            budget.answered(2);
        }
    }

    #[test]
    fn it_never_grows_beyond_what_was_allowed() {
        let budget = Budget::new(1);
        for _ in 0..100 {
            budget.answered(3);
        }
        assert!(budget.take());
        assert!(!budget.take());
        assert!(!Budget::new(0).take());
    }
}
