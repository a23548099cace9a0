//! A mail server that never answers: its notices wait in the store, and the others' wait for nothing.

use std::time::Duration;

use clinic_tests::{
    checker::Expected,
    eventually::eventually,
    load::Load,
    mailbox::{Mailbox, Pattern},
    process::{ClinicProcess, Setup},
    size::{figure, sized},
};

use super::mailing;
use crate::count;

/// How long the channel that never answers is waited for; the others are done long before.
pub(crate) const PATIENCE: &str = "600s";
/// How long the others may take after the last booking; a busy machine is slow, and nothing here measures.
const OTHERS_WITHIN: Duration = Duration::from_secs(60);
/// What notices that wait may not cost in memory: they wait in the store.
const MEMORY: u64 = 64 << 20;

pub(crate) fn bookings() -> usize {
    sized(400, 20_000)
}

/// Books at a steady rate, and says how much memory that found in use.
pub(crate) async fn book(clinic: &ClinicProcess) -> u64 {
    let before = clinic.resident();
    Load::steady("silence", 200.0, bookings()).run(&clinic.http()).await.expect_all(bookings());
    before
}

/// All are told on these channels; on the other all wait.
pub(crate) async fn all_but_one(setup: &Setup, told: &[&str], waits: &str) {
    for channel in told {
        let sent = format!("notice WHERE state = 'sent' AND channel = '{channel}'");
        eventually(channel, OTHERS_WITHIN, || async { (count(setup, &sent) == bookings() as i64).then_some(()) }).await;
    }
    let waiting = format!("notice WHERE state = 'pending' AND tries = 0 AND channel = '{waits}'");
    assert_eq!(count(setup, &waiting), bookings() as i64);
}

#[track_caller]
pub(crate) fn is_small(clinic: &ClinicProcess, before: u64, what: &str) {
    let after = clinic.resident();
    figure(&format!("{what} never answers, {} notices wait: {} MB, {} MB before", bookings(), after >> 20, before >> 20));
    assert!(after < before + MEMORY, "{after} bytes after {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_never_answers_delays_nobody_else() {
    let silent = Mailbox::start(Pattern::Silent);
    let port = silent.port();
    let setup = Setup::new().set_all(mailing(&silent)).set("CLINIC_MAIL_TIMEOUT", PATIENCE).set("CLINIC_MAIL_CONCURRENCY", "8");
    let mut clinic = setup.start();
    let before = book(&clinic).await;
    all_but_one(&setup, &["log"], "email").await;
    assert!((1..=8).contains(&silent.connections()), "{} connections", silent.connections());
    is_small(&clinic, before, "a mail server");
    // Another takes its place, and what waited is told.
    drop(silent);
    let mailbox = Mailbox::start_at(port, Pattern::Accepting);
    setup.at_rest(Duration::from_secs(600)).await;
    assert!(clinic.terminate().success());
    assert_eq!(count(&setup, "notice WHERE state != 'sent'"), 0);
    setup.observed().told(mailbox.told());
    setup.check(&Expected::finished().kills_only().watching("email")).assert_clean();
}
