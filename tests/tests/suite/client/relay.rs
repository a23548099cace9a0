//! A thousand calls, each cut off somewhere, and each makes one booking.

use std::{collections::HashSet, time::Duration};

use clinic_client::{Client, RetryPolicy};
use clinic_tests::{
    checker::{AcceptedSeen, Expected},
    cutter::{Cut, Cutter, Point},
    process::Setup,
};

use super::request;
use crate::count;

const CALLS: usize = 1000;

/// A client whose every try is a connection of its own.
fn client(cutter: &Cutter) -> Client {
    let policy = RetryPolicy::default().base(Duration::from_millis(1)).longest(Duration::from_millis(5));
    let client = Client::builder(&format!("http://{}", cutter.address())).pool(0, Duration::ZERO);
    client.timeout(Duration::from_secs(2)).retry(policy).build().unwrap()
}

/// So many points over a request and its answer, evenly, of these lengths.
fn points(request: usize, answer: usize) -> impl Iterator<Item = Point> {
    (0..CALLS).map(move |place| {
        let byte = place * (request + answer) / CALLS;
        if byte < request { Point::ToServer(byte) } else { Point::ToClient(byte - request) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_cut_off_at_every_point_make_a_booking_each() {
    let setup = Setup::new();
    let clinic = setup.start();
    let cutter = Cutter::to(&clinic.http().address()).await.unwrap();
    let client = client(&cutter);
    let mut booked = HashSet::new();
    // Its number has as many digits as those to come, so that all are equally long.
    let whole = client.bookings().request(request(2 * CALLS)).send().await.unwrap();
    booked.insert(whole.id);
    let (asked, answered) = cutter.passed();
    assert!(asked > 300 && answered > 300, "{asked} bytes asked, {answered} answered");
    for (number, point) in points(asked, answered).enumerate() {
        // Silence takes a time-out each.
        let how = match number % 100 {
            99 => Cut::Freeze,
            number if number % 2 == 0 => Cut::Reset,
            _ => Cut::End,
        };
        cutter.plan(point, how);
        // Every third call loses its second try, too.
        if number % 3 == 0 {
            cutter.plan(Point::ToClient(0), Cut::Reset);
        }
        let booking =
            client.bookings().request(request(CALLS + number)).send().await.unwrap_or_else(|error| panic!("{point:?} {how:?}: {error:?}"));
        assert!(booked.insert(booking.id) && cutter.is_used_up(), "{point:?} {how:?}");
        setup.observed().accepted(AcceptedSeen {
            id: booking.id,
            doctor: booking.doctor_id,
            start: booking.datetime.timestamp_millis(),
            end: booking.end.timestamp_millis(),
            key: None,
        });
    }
    setup.at_rest(Duration::from_secs(60)).await;
    assert_eq!((booked.len(), count(&setup, "booking")), (CALLS + 1, 1 + CALLS as i64));
    let setup = clinic.kill9();
    setup.check(&Expected::finished()).assert_clean();
}
