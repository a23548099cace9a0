//! A new secret beside the old one: both verify, by the reference implementation.

use std::time::Duration;

use clinic_tests::{
    process::Setup,
    receiver::{Manner, verify},
};

use super::{calling, calling_one, visit_of};

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_verify_after_a_rotation_and_no_other_does() {
    let setup = Setup::new().set_all(calling());
    let (mut clinic, receiver, endpoint) = calling_one(&setup, Manner::Healthy).await;
    let http = clinic.http();
    let first = http.book(&visit_of(1)).await.expect(202).id();
    http.decided(first).await;
    setup.at_rest(Duration::from_secs(60)).await;
    let new = http.rotate_webhook(endpoint.id).await;
    assert!((200..300).contains(&new.status), "{new}");
    let new = new.text("secret");
    assert_ne!(new, endpoint.secret);
    http.book(&visit_of(2)).await.expect(202);
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    let taken = receiver.taken();
    assert_eq!(taken.len(), 2);
    let verdicts = |secret: &str| verify(secret, &taken).iter().map(Result::is_ok).collect::<Vec<_>>();
    assert_eq!(verdicts(&endpoint.secret), [true, true]);
    assert_eq!(verdicts(&new), [false, true]);
    assert_eq!(verdicts("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), [false, false]);
    let mut altered = taken;
    altered[1].body.push(' ');
    assert!(verify(&new, &altered[1..])[0].is_err());
}
