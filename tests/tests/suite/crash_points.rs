//! The process ends at each named instant, more than once each; afterwards every promise stands.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use clinic_tests::{
    checker::Expected,
    http::Http,
    process::{Setup, StartFailed},
};

use crate::{day, visit};

/// Bookings asked for around a crash.
const BOOKINGS: usize = 48;

async fn crash_at(point: &str, times: &[u32]) {
    let plain = Setup::new().with_crash_points().set("CLINIC_SIM_DELAY", "0ms..30ms").set("CLINIC_SIM_APPROVE", "0.8");
    for (round, time) in times.iter().enumerate() {
        // Hardly any sweep, so that it is the usual path through the broker that is cut.
        let crashing = plain.clone().set("CLINIC_SWEEP", "60s").set("CLINIC_CRASH_AT", &format!("{point}:{time}"));
        let (status, asking) = match crashing.try_start() {
            Ok(mut clinic) => {
                let asking = tokio::spawn(ask_and_cancel(plain.http(), round));
                (clinic.ended(Duration::from_secs(60)), asking)
            }
            // Some instants come before it serves.
            Err(StartFailed::Ended { status, .. }) => (status, tokio::spawn(ask_and_cancel(plain.http(), round))),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(status.signal(), Some(9), "{point}:{time}: {status}");
        let mut clinic = plain.start();
        asking.await.unwrap();
        // Far less than a lease: the one who starts alone knows that nobody else is at work.
        plain.at_rest(Duration::from_secs(20)).await;
        assert!(clinic.terminate().success());
        plain.check(&Expected::finished().kills_only()).assert_clean();
    }
}

/// Insists on an answer to every booking, and to every third one's cancellation.
async fn ask_and_cancel(http: Http, round: usize) {
    let asking = (0..BOOKINGS).map(|number| {
        let http = http.clone();
        tokio::spawn(async move {
            let body = visit(&format!("PAC-{round}-{number}"), &format!("DOC-{round}-{number}"), day(30));
            let key = format!("{round}-{number}");
            // One after the other, so that they do not all share one commit and one claim.
            tokio::time::sleep(Duration::from_millis(5 * number as u64)).await;
            let id = loop {
                match http.try_book(&body, Some(&key), Duration::from_secs(20)).await {
                    Ok(answer) if answer.status == 202 => break answer.id(),
                    Ok(answer) => assert!(answer.status >= 500, "{answer}"),
                    Err(_) => {}
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            while number % 3 == 0 && !http.try_cancel(id).await.is_ok_and(|answer| [200, 409].contains(&answer.status)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
}

macro_rules! crash_points {
    ($($name:ident: $times:expr,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            crash_at(stringify!($name), &$times).await;
        }
    )*};
}

crash_points! {
    accepted: [1, 20],
    in_transaction: [1, 5, 15],
    committed: [1, 5, 15],
    claimed: [1, 3, 6],
    asked: [1, 20],
    decided: [1, 5],
    notices_claimed: [1, 3, 6],
    sent: [1, 20],
    told: [1, 5],
    cancelled: [1, 8],
}
