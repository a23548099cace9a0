//! A booking cancelled while its confirmation cannot be sent: nobody hears "confirmed" after "cancelled".

use std::time::Duration;

use clinic_tests::{
    checker::Expected,
    eventually::eventually,
    load::Load,
    process::Setup,
    receiver::{Delivery, Manner},
};

use super::{calling, calling_one};
use crate::count;

const BOOKINGS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_the_confirmation_after_the_cancellation() {
    // Slow enough that a cancellation finds the confirmation waiting.
    let setup = Setup::new().set_all(calling()).set("CLINIC_WEBHOOK_RETRY_BASE", "1s");
    let (mut clinic, receiver, endpoint) = calling_one(&setup, Manner::Answering(503)).await;
    let http = clinic.http();
    Load::closed("overtaken", 4, BOOKINGS).run(&http).await.expect_all(BOOKINGS);
    let tried = format!("notice WHERE tries > 0 AND state = 'pending' AND channel = '{}'", endpoint.channel());
    eventually("every confirmation tried", Duration::from_secs(60), || async { (count(&setup, &tried) == BOOKINGS as i64).then_some(()) })
        .await;
    let bookings = setup.observed().snapshot().accepted;
    for booking in &bookings {
        http.cancel(booking.id).await.expect(200);
    }
    receiver.turn(Manner::Healthy);
    setup.at_rest(Duration::from_secs(120)).await;
    assert!(clinic.terminate().success());
    let taken = receiver.taken();
    for booking in &bookings {
        let of_it = taken.iter().filter(|delivery| delivery.booking() == Some(booking.id));
        assert_eq!(of_it.filter_map(Delivery::event).collect::<Vec<_>>(), ["cancelled"]);
    }
    setup.observed().told(receiver.told(endpoint.id));
    setup.check(&Expected::finished().kills_only().watching(&endpoint.channel())).assert_clean();
}
