//! The executable specification of [`Store`].

mod accepting;
mod cancelling;
mod claiming;
mod concluding;
mod deadline;
mod following;
mod desk;
mod idempotency;
mod listing;
mod losses;
mod order;
mod overdue;
mod overlap;
mod practice;
mod releasing;
mod reminding;
mod telling;
mod timeline;
mod upkeep;
mod webhooks;

use std::sync::Arc;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use self::practice::Practice;
use super::{clock::ManualClock, findings::Findings};
use crate::ports::{Clock, Store};

/// Holds a store against the contract of [`Store`]. `make` gives an empty store that runs by the clock it is handed and reminds 24 hours
/// before a visit; it is called once a check, and each store is closed before the next is made.
///
/// # Panics
/// At the end, naming every breach.
pub async fn exercise_store(make: impl AsyncFn(Arc<dyn Clock>) -> Arc<dyn Store>) {
    let make = &make;
    let mut suite = Suite { make: &|clock| make(clock).boxed_local(), findings: Findings::default() };
    accepting::check(&mut suite).await;
    idempotency::check(&mut suite).await;
    overlap::check(&mut suite).await;
    claiming::check(&mut suite).await;
    losses::check(&mut suite).await;
    concluding::check(&mut suite).await;
    overdue::check(&mut suite).await;
    cancelling::check(&mut suite).await;
    deadline::check(&mut suite).await;
    releasing::check(&mut suite).await;
    reminding::check(&mut suite).await;
    telling::check(&mut suite).await;
    order::check(&mut suite).await;
    listing::check(&mut suite).await;
    timeline::check(&mut suite).await;
    following::check(&mut suite).await;
    desk::check(&mut suite).await;
    webhooks::check(&mut suite).await;
    upkeep::check(&mut suite).await;
    suite.findings.conclude("the store");
}

/// The suite under way: makes a fresh store for each check.
struct Suite<'a> {
    make: &'a dyn Fn(Arc<dyn Clock>) -> LocalBoxFuture<'a, Arc<dyn Store>>,
    findings: Findings,
}

impl Suite<'_> {
    async fn check(&mut self, name: &str, check: impl AsyncFnOnce(&Practice)) {
        let make = self.make;
        let whole = async {
            let clock = Arc::new(ManualClock::default());
            let practice = Practice::new(make(clock.clone()).await, clock);
            check(&practice).await;
            practice.store.close().await;
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
