//! The invitation, read by an independent parser: the right instant in three zones, two of them around a clock change.

use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc, Weekday};
use clinic_tests::{
    mailbox::{Mailbox, Pattern},
    process::Setup,
};
use serde_json::json;

use super::mailing;

/// The first Sunday from a day of this or next year on that is at least three days ahead.
fn sunday_from(month: u32, day: u32) -> NaiveDate {
    let today = Utc::now().date_naive();
    let of_year = |year| {
        let first = NaiveDate::from_ymd_opt(year, month, day).unwrap();
        first + Days::new(u64::from(6 - first.weekday().num_days_from_monday()))
    };
    let sunday = of_year(today.year());
    let sunday = if sunday > today + Days::new(3) { sunday } else { of_year(today.year() + 1) };
    assert_eq!(sunday.weekday(), Weekday::Sun);
    sunday
}

/// What a clinic in a zone is asked for, in its own time, and the instant in UTC that this is, on one day.
async fn is_invited(zone: &str, day: NaiveDate, visits: &[(&str, &str)]) {
    let mailbox = Mailbox::start(Pattern::Accepting);
    let setup = Setup::new().set_all(mailing(&mailbox)).set("CLINIC_TIMEZONE", zone).set("CLINIC_HORIZON", "800d");
    let mut clinic = setup.start();
    let mut expected = Vec::new();
    for (number, (local, utc)) in visits.iter().enumerate() {
        let address = format!("pac{number}@patients.test");
        let body = json!({
            "patient_id": format!("PAC{number}"),
            "doctor_id": format!("DOC{number}"),
            "datetime": format!("{day}T{local}:00"),
            "contact": { "email": address },
        });
        let booking = clinic.http().book(&body).await.expect(202).id();
        let instant: DateTime<Utc> = format!("{day}T{utc}:00Z").parse().unwrap();
        expected.push((booking, address, *local, instant));
    }
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    for (booking, address, local, instant) in expected {
        let mails = mailbox.mails_to(&address);
        assert_eq!(mails.len(), 1);
        let invitation = mails[0].invitation.clone().unwrap();
        assert_eq!(invitation.start, Some(instant.timestamp()), "{zone} {day} {local}");
        assert_eq!(invitation.end, Some((instant + TimeDelta::minutes(30)).timestamp()), "{zone} {day} {local}");
        assert_eq!(invitation.method, "REQUEST");
        assert_eq!(invitation.uid, booking.to_string());
        assert!(invitation.attendee.as_ref().is_some_and(|attendee| attendee.contains(&address)), "{:?}", invitation.attendee);
        for text in [&mails[0].text, &mails[0].html] {
            assert!(text.contains(local), "{zone} {local}: {text}");
        }
    }
}

/// Summer time begins at 01:00 UTC on the last Sunday of March: 02:00 becomes 03:00.
#[tokio::test(flavor = "multi_thread")]
async fn in_madrid_on_the_night_that_summer_time_begins() {
    is_invited("Europe/Madrid", sunday_from(3, 25), &[("01:45", "00:45"), ("03:15", "01:15")]).await;
}

/// Summer time ends at 06:00 UTC on the first Sunday of November: 02:00 becomes 01:00, and the earlier 01:30 is meant.
#[tokio::test(flavor = "multi_thread")]
async fn in_new_york_on_the_night_that_summer_time_ends() {
    is_invited("America/New_York", sunday_from(11, 1), &[("00:45", "04:45"), ("01:30", "05:30"), ("02:15", "07:15")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_kolkata_half_an_hour_beside_the_others() {
    is_invited("Asia/Kolkata", sunday_from(6, 1), &[("10:00", "04:30"), ("23:45", "18:15")]).await;
}
