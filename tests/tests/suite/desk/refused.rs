//! What is not to change anything changes nothing: a replay that is refused, and one that is only tried.

use clinic_tests::checker::Expected;

use super::{SETTLES_WITHIN, desk, picture, replay, with_letters};
use crate::visit;

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_whose_slot_was_taken_meanwhile_is_refused_and_changes_nothing() {
    let (setup, mut clinic) = with_letters(2).await;
    let http = clinic.http();
    let old = setup.observed().snapshot().accepted[0].clone();
    let start = chrono::DateTime::from_timestamp_millis(old.start).unwrap();
    let taken_by = http.book(&visit("PAC-quick", old.doctor.as_deref().unwrap(), start)).await.expect(202).id();
    assert_eq!(http.decided(taken_by).await.text("status"), "confirmed");
    setup.at_rest(SETTLES_WITHIN).await;
    let letter = letter_of(&http, &old.id.to_string()).await;
    let before = picture(&setup);

    for dry_run in [false, true] {
        replay(&http, &letter, dry_run).await.expect_problem(409, "slot_taken");
    }
    let said = desk(&http, &["replay", &letter]).await.expect(1, "0 replayed, 0 already replayed, 1 refused, 0 failed");
    assert!(said.lines[0].starts_with(&format!("{letter} slot_taken: ")), "{said:?}");
    let said = desk(&http, &["explain", &letter]).await;
    assert!(said.status.success() && said.last().contains("refused now") && said.last().contains("slot_taken"), "{said:?}");
    assert_eq!(picture(&setup), before, "neither the old booking nor anything else");

    // The other one's slot is free.
    desk(&http, &["replay", "--all"]).await.expect(1, "1 replayed, 0 already replayed, 1 refused, 0 failed");
    setup.at_rest(SETTLES_WITHIN).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().retries(0)).assert_clean();
}

/// The id of a booking's letter.
async fn letter_of(http: &clinic_tests::http::Http, booking: &str) -> String {
    let page = http.get("/dead-letters?limit=200").await.expect(200).json();
    let letter = page["items"].as_array().unwrap().iter().find(|letter| letter["booking"] == booking);
    letter.unwrap_or_else(|| panic!("no letter of {booking} in {page}"))["id"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let (setup, _clinic) = with_letters(5).await;
    let http = setup.http();
    let before = picture(&setup);
    assert!(before.len() >= 5 && before["dead_letter"].len() == 5 && before["booking"].len() == 5, "{:?}", before.keys());
    let unchanged = |after: &str| assert!(picture(&setup) == before, "{after} changed the store");
    let tried = replay(&http, "1", true).await.expect(200);
    unchanged("a dry run");
    assert_eq!((tried.field("dry_run"), tried.field("dead_letter")["replayed_at"].is_null()), (true.into(), true));
    desk(&http, &["explain", "2"]).await;
    unchanged("an explanation");
    desk(&http, &["replay", "3", "--dry-run"]).await.expect(0, "1 could be replayed, 0 already replayed, 0 refused, 0 failed");
    desk(&http, &["replay", "--all", "--dry-run"]).await.expect(0, "5 could be replayed, 0 already replayed, 0 refused, 0 failed");
    // Had anything been begun, it would be decided and told soon.
    setup.at_rest(SETTLES_WITHIN).await;
    unchanged("a dry run in bulk");
}
