//! An endpoint that says it is gone hears no more.

use std::time::Duration;

use clinic_tests::{checker::Facts, process::Setup, receiver::Manner};

use super::{calling, calling_one, visit_of};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_and_its_notice_kept() {
    let setup = Setup::new().set_all(calling());
    let (mut clinic, receiver, endpoint) = calling_one(&setup, Manner::Answering(410)).await;
    let http = clinic.http();
    let first = http.book(&visit_of(1)).await.expect(202).id();
    setup.at_rest(Duration::from_secs(60)).await;
    assert_eq!(receiver.attempts_so_far(), 1);
    let shown = http.webhook(endpoint.id).await.expect(200);
    assert!(shown.body.contains("endpoint_gone"), "{shown}");
    assert!(!shown.body.contains("whsec_"), "{shown}");
    let second = http.book(&visit_of(2)).await.expect(202).id();
    setup.at_rest(Duration::from_secs(60)).await;
    assert_eq!(receiver.attempts_so_far(), 1, "it was called again");
    assert!(clinic.terminate().success());
    let facts = Facts::read(setup.store()).unwrap();
    let on_webhooks = |booking| {
        let rows = facts.notices[&booking].iter().filter(|row| row.channel.starts_with("webhook"));
        rows.map(|row| (row.state.clone(), row.code.clone().unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(on_webhooks(first), [("failed".to_owned(), "endpoint_gone".to_owned())]);
    assert_eq!(facts.dead_letters[&first].len(), 1);
    // None is enabled any more.
    assert_eq!(on_webhooks(second), [("skipped".to_owned(), "no_endpoint".to_owned())]);
}
