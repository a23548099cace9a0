use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::timeout;

/// No check takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the checks of a suite found. All of them run, so that one breach does not hide another.
#[derive(Debug, Default)]
pub(super) struct Findings {
    checks: usize,
    breaches: Vec<String>,
}

impl Findings {
    /// Runs one check; its name is a sentence in snake case.
    pub(super) async fn check(&mut self, name: &str, check: impl Future<Output = ()>) {
        self.checks += 1;
        let breach = match timeout(PATIENCE, AssertUnwindSafe(check).catch_unwind()).await {
            Ok(Ok(())) => return,
            Ok(Err(panic)) => said(&*panic),
            Err(_) => format!("it hangs: nothing came of it within {PATIENCE:?}"),
        };
        self.breaches.push(format!("{}:\n    {breach}", name.replace('_', " ")));
    }

    /// Panics when there were breaches, with all of them.
    pub(super) fn conclude(self, what: &str) {
        let Self { checks, breaches } = self;
        assert!(
            breaches.is_empty(),
            "{} of {checks} checks say that {what} breaks its contract:\n- {}",
            breaches.len(),
            breaches.join("\n- ")
        );
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_breach_is_reported() {
        let mut findings = Findings::default();
        findings.check("one_is_fine", async {}).await;
        findings.check("two_is_not", async { panic!("two is {}", 3) }).await;
        findings.check("nor_is_three", async { panic!("three is four") }).await;
        let text = said(&*AssertUnwindSafe(async { findings.conclude("it") }).catch_unwind().await.unwrap_err());
        assert!(text.starts_with("2 of 3 checks") && text.contains("two is not:\n    two is 3") && text.contains("nor is three"), "{text}");
    }
}
