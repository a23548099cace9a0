//! The process ends at each named instant, more than once each; afterwards every promise stands.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use clinic_tests::{checker::Expected, http::Http, load::day, process::Setup};

use crate::visit;

/// Bookings asked for around a crash.
const BOOKINGS: usize = 48;

async fn crash_at(point: &str, times: &[u32]) {
    let plain = Setup::new().with_crash_points().set("CLINIC_SIM_DELAY", "0ms..30ms").set("CLINIC_SIM_APPROVE", "0.8");
    for (round, time) in times.iter().enumerate() {
        let mut clinic = plain.clone().set("CLINIC_CRASH_AT", &format!("{point}:{time}")).start();
        let asking = tokio::spawn(ask_and_cancel(plain.http(), round));
        let status = clinic.ended(Duration::from_secs(60));
        assert_eq!(status.signal(), Some(9), "{point}:{time}: {status}\n{}", clinic.diagnostics());
        let mut clinic = plain.start();
        asking.await.unwrap();
        plain.at_rest(Duration::from_secs(60)).await;
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
    claimed: [1, 5],
    asked: [1, 20],
    decided: [1, 5],
    notices_claimed: [1, 5],
    sent: [1, 20],
    told: [1, 5],
    cancelled: [1, 8],
}
