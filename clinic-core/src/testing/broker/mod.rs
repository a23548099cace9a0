//! The executable specification of [`Broker`].

mod delivery;
mod desk;
mod news;
mod poison;
mod redelivery;
mod sharing;

use std::sync::Arc;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use self::desk::Desk;
use super::findings::Findings;
use crate::ports::Broker;

/// Holds a broker against the contract of [`Broker`]. `make` gives a broker with empty queues that nobody else uses; it is called
/// once a check.
///
/// # Panics
/// At the end, naming every breach.
pub async fn exercise_broker(make: impl AsyncFn() -> Arc<dyn Broker>) {
    let make = &make;
    let mut suite = Suite { make: &|| make().boxed_local(), findings: Findings::default() };
    delivery::check(&mut suite).await;
    redelivery::check(&mut suite).await;
    sharing::check(&mut suite).await;
    news::check(&mut suite).await;
    poison::check(&mut suite).await;
    suite.findings.conclude("the broker");
}

/// The suite under way: makes a fresh broker for each check.
struct Suite<'a> {
    make: &'a dyn Fn() -> LocalBoxFuture<'a, Arc<dyn Broker>>,
    findings: Findings,
}

impl Suite<'_> {
    async fn check(&mut self, name: &str, check: impl AsyncFnOnce(&Desk)) {
        let make = self.make;
        let whole = async {
            let desk = Desk::new(make().await);
            check(&desk).await;
        };
        self.findings.check(name, whole).await;
    }
}

/// The checks of a theme: functions whose names are sentences.
macro_rules! checks {
    ($($check:ident,)+) => {
        pub(super) async fn check(suite: &mut super::Suite<'_>) {
            $(suite.check(stringify!($check), $check).await;)+
        }
    };
}
use checks;
