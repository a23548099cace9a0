//! Answers that would not end are cut off, and redirections are not followed.

use std::time::Duration;

use clinic_tests::{
    eventually::eventually,
    process::Setup,
    receiver::{Manner, Receiver},
};

use super::{calling, calling_one, row, visit_of};

/// What fits into the sockets' buffers, and more; far less than the 10 GB that are offered.
const BUFFERS: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn ten_gigabytes_are_cut_off() {
    let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_TIMEOUT", "300s");
    let (clinic, receiver, _) = calling_one(&setup, Manner::Flooding).await;
    clinic.http().book(&visit_of(1)).await.expect(202);
    eventually("the answer cut off", Duration::from_secs(60), || async { receiver.was_cut_off().then_some(()) }).await;
    assert!(receiver.written() < BUFFERS, "{} bytes were read", receiver.written());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_a_second_is_cut_off() {
    for manner in [Manner::DrippingHead, Manner::DrippingBody] {
        let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_TIMEOUT", "2s");
        let (clinic, receiver, endpoint) = calling_one(&setup, manner.clone()).await;
        clinic.http().book(&visit_of(1)).await.expect(202);
        eventually("the answer cut off", Duration::from_secs(60), || async { receiver.was_cut_off().then_some(()) }).await;
        if manner == Manner::DrippingHead {
            eventually("a try that failed", Duration::from_secs(60), || async {
                row(&setup, &endpoint.channel()).filter(|(state, _, tries)| state == "pending" && *tries > 0)
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_a_failure_and_not_followed() {
    let elsewhere = Receiver::start(Manner::Healthy).await;
    // One to where it may go by itself, one to where it may not.
    for to in [elsewhere.url(), "http://169.254.169.254/latest/meta-data/".into()] {
        let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_RETRIES", "1");
        let (mut clinic, receiver, endpoint) = calling_one(&setup, Manner::Redirecting(to)).await;
        clinic.http().book(&visit_of(1)).await.expect(202);
        setup.at_rest(Duration::from_secs(60)).await;
        assert!(clinic.terminate().success());
        let (state, code, _) = row(&setup, &endpoint.channel()).unwrap();
        assert_eq!((state.as_str(), code.as_deref()), ("failed", Some("webhook_status_3xx")));
        assert_eq!(receiver.attempts_so_far(), 2);
    }
    assert_eq!(elsewhere.connections(), (0, 0));
}
