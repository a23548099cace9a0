//! P1: a 202 is sent only after the booking is synced to disk.

use clinic_tests::{process::Setup, syncs::Syncs};

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread")]
async fn every_202_and_every_cancellation_comes_after_a_sync() {
    let syncs = Syncs::new();
    // Nothing else writes meanwhile: no sweep, and no decision before the end.
    let setup = Setup::new().set("CLINIC_SWEEP", "60s").set("CLINIC_SIM_DELAY", "9s..9s");
    let setup = syncs.watch(setup);
    let clinic = setup.start();
    let http = clinic.http();
    let mut ids = Vec::new();
    for number in 0..20 {
        let before = syncs.of(setup.store());
        let id = http.book(&visit(&format!("PAC{number}"), &format!("DOC{number}"), day(30))).await.expect(202).id();
        let after = syncs.of(setup.store());
        assert!(after > before, "booking {number} was accepted without a sync");
        ids.push(id);
        // Its claim is synced too; the next round must not take that for its own.
        settled(&syncs, &setup, after).await;
    }
    for id in ids {
        let before = syncs.of(setup.store());
        http.cancel(id).await.expect(200);
        let after = syncs.of(setup.store());
        assert!(after > before, "a booking was cancelled without a sync");
        settled(&syncs, &setup, after).await;
    }
}

/// Waits until no more syncs come for a while.
async fn settled(syncs: &Syncs, setup: &Setup, mut last: usize) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        let now = syncs.of(setup.store());
        if now == last {
            return;
        }
        last = now;
    }
}
