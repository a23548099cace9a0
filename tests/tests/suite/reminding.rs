//! Reminders: told once, in time, whatever is killed; gone with the visit.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clinic_tests::{
    checker::{Expected, Facts},
    eventually::eventually,
    process::Setup,
};

use crate::{number, visit};

const VISITS: usize = 60;

fn setup() -> Setup {
    Setup::new().set("CLINIC_SIM_DELAY", "0s").set("CLINIC_REMINDERS", "20s,12s").set("CLINIC_SWEEP", "200ms")
}

/// Nobody is waiting for a reminder any more.
async fn all_reminded(setup: &Setup) {
    eventually("every reminder made", Duration::from_secs(60), || async {
        (number(setup, "SELECT count(*) FROM booking WHERE remind_at IS NOT NULL") == 0).then_some(())
    })
    .await;
    setup.at_rest(Duration::from_secs(30)).await;
}

/// How many reminders each booking's timeline has.
fn reminders(setup: &Setup) -> Vec<usize> {
    let facts = Facts::read(setup.store()).unwrap();
    facts.timeline.values().map(|entries| entries.iter().filter(|entry| entry.kind == "reminder").count()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_told_once_though_the_clinic_is_killed() {
    let setup = setup();
    let clinic = setup.start();
    let start: DateTime<Utc> = Utc::now() + TimeDelta::seconds(32);
    for place in 0..VISITS {
        let visit = visit(&format!("PAC{place}"), &format!("DOC{place}"), start + TimeDelta::milliseconds(20 * place as i64));
        clinic.http().book(&visit).await.expect(202);
    }
    eventually("the first reminder", Duration::from_secs(30), || async {
        (number(&setup, "SELECT count(*) FROM timeline WHERE kind = 'reminder'") > 0).then_some(())
    })
    .await;
    let mut setup = clinic.kill9();
    for _ in 0..2 {
        let clinic = setup.start();
        let made = number(&setup, "SELECT count(*) FROM timeline WHERE kind = 'reminder'");
        eventually("another reminder, or the end of them", Duration::from_secs(30), || async {
            let now = number(&setup, "SELECT count(*) FROM timeline WHERE kind = 'reminder'");
            (now > made || now >= VISITS as i64).then_some(())
        })
        .await;
        setup = clinic.kill9();
    }
    let mut clinic = setup.start();
    all_reminded(&setup).await;
    assert!(clinic.terminate().success());
    // Two each; one, where both had fallen due while nobody was there.
    assert!(reminders(&setup).iter().all(|made| (1..=2).contains(made)), "{:?}", reminders(&setup));
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_was_cancelled_has_none() {
    let setup = setup();
    let mut clinic = setup.start();
    let start: DateTime<Utc> = Utc::now() + TimeDelta::seconds(34);
    let cancelled = clinic.http().book(&visit("PAC001", "DOC001", start)).await.expect(202).id();
    let kept = clinic.http().book(&visit("PAC002", "DOC002", start)).await.expect(202).id();
    for id in [cancelled, kept] {
        assert_eq!(clinic.http().decided(id).await.text("status"), "confirmed");
    }
    clinic.http().cancel(cancelled).await.expect(200);
    all_reminded(&setup).await;
    assert!(clinic.terminate().success());
    let told = |id| -> Vec<String> {
        setup.observed().snapshot().lines.into_iter().filter(|line| line.booking == id).map(|line| line.event).collect()
    };
    assert_eq!(told(cancelled), ["confirmed", "cancelled"]);
    assert_eq!(told(kept), ["confirmed", "reminder", "reminder"]);
    setup.check(&Expected::finished().kills_only()).assert_clean();
}
