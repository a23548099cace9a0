//! Mail over TLS: none goes to a server that nobody vouches for.

use std::time::Duration;

use clinic_tests::{
    authority::Authority,
    load::{Load, draw},
    mailbox::{Encryption, Mailbox},
    process::Setup,
};

use super::mailing;
use crate::count;

const BOOKINGS: usize = 3;

/// Books with a clinic of these settings, and says how many mails of it failed over TLS.
async fn failed(setup: Setup, name: &str) -> i64 {
    let mut clinic = setup.start();
    Load::closed(name, 1, BOOKINGS).run(&clinic.http()).await.expect_all(BOOKINGS);
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    count(&setup, "notice WHERE channel = 'email' AND state = 'failed' AND code = 'smtp_tls'")
}

async fn mail_goes_to_whom_it_trusts(encryption: Encryption) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mailbox = Mailbox::start_encrypted(encryption, &authority.issue("IP:127.0.0.1"));
    let misnamed = Mailbox::start_encrypted(encryption, &authority.issue("DNS:mail.elsewhere.test"));
    let trusting = |mailbox: &Mailbox, authority: &Authority| {
        let authority = authority.certificate();
        Setup::new().set_all(mailing(mailbox)).set("CLINIC_MAIL_RETRIES", "1").set("SSL_CERT_FILE", authority.to_str().unwrap())
    };
    assert_eq!(failed(trusting(&mailbox, &stranger), "wary").await, BOOKINGS as i64);
    assert_eq!(failed(trusting(&misnamed, &authority), "misled").await, BOOKINGS as i64);
    assert_eq!((mailbox.mails(), misnamed.mails()), (Vec::new(), Vec::new()));
    assert_eq!(failed(trusting(&mailbox, &authority), "trusting").await, 0);
    for number in 0..BOOKINGS as u64 {
        assert_eq!(mailbox.mails_to(&draw("trusting").arrival(number).email()).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_starttls_mail_goes_to_whom_it_trusts() {
    mail_goes_to_whom_it_trusts(Encryption::StartTls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_smtps_mail_goes_to_whom_it_trusts() {
    mail_goes_to_whom_it_trusts(Encryption::Wrapped).await;
}
