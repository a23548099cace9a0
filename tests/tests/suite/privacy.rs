//! P7: patients' names and ids stay in the store and in the answers to those who asked.

use std::time::Duration;

use clinic_tests::{checker::leaks, process::Setup};
use serde_json::json;

use crate::day;

#[tokio::test(flavor = "multi_thread")]
async fn no_patient_in_logs_notices_metrics_or_errors() {
    let patients = ["PAC-SECRET", "Zenobia", "zenobia@example.org", "600123987", "KEY-SECRET"];
    let setup = Setup::new()
        .set("CLINIC_LOG", "debug")
        .set("CLINIC_SIM_APPROVE", "0.5")
        .set("CLINIC_SIM_FAIL", "0.5")
        .set("CLINIC_RETRY_BASE", "10ms");
    let mut clinic = setup.start();
    let http = clinic.http();
    let mut errors = String::new();
    for number in 0..20 {
        let body = json!({
            "patient_id": format!("PAC-SECRET{}", number / 2), "patient_name": "Zenobia Tal", "doctor_id": format!("D{}", number % 10),
            "datetime": day(30).to_rfc3339(), "contact": {"email": "zenobia@example.org", "phone": "+34 600123987"},
        });
        let answer = http.book_keyed(&body, &format!("KEY-SECRET{number}")).await;
        if answer.status == 202 {
            http.decided(answer.id()).await;
        } else {
            errors += &answer.body;
        }
        for (field, value) in [("datetime", "2020-01-01T00:00:00Z"), ("language", "Zenobia"), ("contact", "zenobia@example.org")] {
            let mut wrong = body.clone();
            wrong[field] = json!(value);
            errors += &http.book(&wrong).await.expect(422).body;
        }
    }
    errors += &http.list("patient_id=PAC-SECRET0&limit=0").await.expect(422).body;
    http.list("patient_id=PAC-SECRET0").await.expect(200);
    setup.at_rest(Duration::from_secs(30)).await;
    let metrics = http.metrics().await.expect(200).body;
    assert!(clinic.terminate().success());
    let seen = setup.observed().snapshot();
    let stdout =
        seen.lines.iter().map(|line| line.content.as_str()).chain(seen.garbled.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
    let found =
        leaks(&patients, &[("stderr", &clinic.diagnostics()), ("stdout", &stdout), ("metrics", &metrics), ("error answers", &errors)]);
    assert_eq!(found, []);
    assert!(seen.lines.len() >= 10 && !errors.is_empty());
}
