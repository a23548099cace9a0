//! P5 and P6 with a log that nobody reads: a notice counts as sent when it is, and an overtaken one never.

use std::time::Duration;

use clinic_tests::{
    checker::{Expected, Facts},
    eventually::eventually,
    load::Load,
    process::Setup,
};

use crate::{count, day, visit};

/// More notices than a pipe holds (64 KiB on Linux).
const BOOKINGS: usize = 1_200;

/// A clinic whose pipe is full, with notices waiting behind it.
async fn blocked(setup: &Setup) -> clinic_tests::process::ClinicProcess {
    let clinic = setup.start();
    setup.stop_reading();
    Load::closed("pipe", 32, BOOKINGS).run(&clinic.http()).await.expect_all(BOOKINGS);
    eventually("every notice in the ledger", Duration::from_secs(30), || async {
        (count(setup, "notice") == BOOKINGS as i64).then_some(())
    })
    .await;
    clinic
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_nobody_could_read_is_not_called_sent() {
    let setup = Setup::new();
    let clinic = blocked(&setup).await;
    let sent = count(&setup, "notice WHERE state = 'sent'");
    assert!(sent < BOOKINGS as i64, "all were called sent while nobody read");
    // What the pipe held is read, the rest is lost with the process, and sent again.
    let setup = clinic.kill9();
    let mut clinic = setup.start();
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_overtakes_a_confirmation_that_could_not_be_sent() {
    let setup = Setup::new();
    let mut clinic = blocked(&setup).await;
    let http = clinic.http();
    let id = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    assert_eq!(http.decided(id).await.text("status"), "confirmed");
    eventually("its notice in the ledger", Duration::from_secs(30), || async { (count(&setup, "notice") > BOOKINGS as i64).then_some(()) })
        .await;
    http.cancel(id).await.expect(200);
    // The channel gives up on the confirmation after 10 s; it is overtaken by then.
    eventually("an overtaken notice", Duration::from_secs(40), || async {
        let facts = Facts::read(setup.store()).unwrap();
        facts.notices.get(&id)?.iter().any(|notice| notice.code.as_deref() == Some("superseded")).then_some(())
    })
    .await;
    setup.go_on_reading();
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}
