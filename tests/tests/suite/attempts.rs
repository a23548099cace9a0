//! P4: the attempts of a booking whose availability check always fails.

use std::time::Duration;

use clinic_tests::{
    checker::{Expected, Facts},
    load::Load,
    process::Setup,
};
use serde_json::json;

use crate::{day, visit};

#[tokio::test(flavor = "multi_thread")]
async fn four_attempts_at_the_policys_distances_and_then_a_dead_letter() {
    // The policy's own jitter aside, so that its distances are exact: 1 s, 5 s, 25 s.
    let setup = Setup::new().set("CLINIC_SIM_FAIL", "1.0").set("CLINIC_RETRY_JITTER", "0");
    let mut clinic = setup.start();
    let http = clinic.http();
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(http.book(&visit(&format!("PAC{number}"), "DOC001", day(30 + number))).await.expect(202).id());
    }
    for id in &ids {
        let decided = http.decided(*id).await;
        let shown = (decided.text("status"), decided.text("reason"), decided.field("attempts"));
        assert_eq!(shown, ("rejected".into(), "availability_unreachable".into(), json!(4)), "{decided}");
    }
    setup.at_rest(Duration::from_secs(30)).await;
    assert!(http.metric("clinic_attempts_total", "transient").await >= 40.0);
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished()).assert_clean();

    let facts = Facts::read(setup.store()).unwrap();
    for id in &ids {
        let attempts = facts.attempts(*id);
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(attempts.iter().all(|attempt| attempt.code == "transient"), "{attempts:?}");
        for (pair, pause) in attempts.windows(2).zip([1_000, 5_000, 25_000]) {
            let planned = pair[0].next_try.unwrap() - pair[0].at;
            assert!((planned - pause).abs() <= pause / 10, "planned {planned} ms instead of {pause}");
            // Never early; late only as far as a busy machine is.
            let made = pair[1].at - pair[0].at;
            assert!(made >= planned && made <= planned + 5_000, "made after {made} ms instead of {planned}");
        }
        assert_eq!(attempts[3].next_try, None);
        let letters = &facts.dead_letters[id];
        let letter = (letters.len(), letters[0].kind.as_str(), letters[0].code.as_str(), letters[0].attempts);
        assert_eq!(letter, (1, "decide", "availability_unreachable", 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jitter_spreads_the_pauses_within_a_fifth() {
    let setup = Setup::new().set("CLINIC_SIM_FAIL", "1.0").set("CLINIC_RETRY_BASE", "200ms").set("CLINIC_RETRY_FACTOR", "2");
    let mut clinic = setup.start();
    let http = clinic.http();
    for number in 0..40 {
        http.book(&visit(&format!("PAC{number}"), "DOC001", day(30 + number))).await.expect(202);
    }
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished()).assert_clean();
    let facts = Facts::read(setup.store()).unwrap();
    let mut first = Vec::new();
    for id in facts.bookings.keys() {
        for (attempt, pause) in facts.attempts(*id).iter().zip([200, 400, 800]) {
            let planned = attempt.next_try.unwrap() - attempt.at;
            assert!(planned >= pause * 79 / 100 && planned <= pause * 121 / 100 + 1, "{planned} ms, the policy says {pause} +-20 %");
            if pause == 200 {
                first.push(planned);
            }
        }
    }
    first.sort_unstable();
    first.dedup();
    assert!(first.len() > 5, "no jitter: {first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_passes_costs_an_attempt_and_no_booking() {
    let setup = Setup::new()
        .set("CLINIC_SIM_FAIL", "0.5")
        .set("CLINIC_RETRY_BASE", "20ms")
        .set("CLINIC_RETRIES", "20")
        .set("CLINIC_RETRY_FACTOR", "1");
    let mut clinic = setup.start();
    let http = clinic.http();
    Load::closed("fail", 16, 200).run(&http).await.expect_all(200);
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().retries(20)).assert_clean();
    let facts = Facts::read(setup.store()).unwrap();
    assert!(facts.bookings.values().all(|booking| booking.status == "confirmed"));
    assert!(facts.bookings.values().any(|booking| booking.attempts > 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_does_not_answer_in_time_is_spent() {
    let setup = Setup::new()
        .set("CLINIC_SIM_DELAY", "9s..9s")
        .set("CLINIC_ATTEMPT_TIMEOUT", "200ms")
        .set("CLINIC_RETRIES", "1")
        .set("CLINIC_RETRY_BASE", "50ms");
    let mut clinic = setup.start();
    let http = clinic.http();
    let id = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    assert_eq!(http.decided(id).await.text("reason"), "availability_unreachable");
    setup.at_rest(Duration::from_secs(30)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().retries(1)).assert_clean();
    let codes: Vec<_> = Facts::read(setup.store()).unwrap().attempts(id).into_iter().map(|attempt| attempt.code).collect();
    assert_eq!(codes, ["timed_out", "timed_out"]);
}
