//! A booking cancelled while its confirmation cannot be sent: nobody hears "confirmed" after "cancelled".

use std::time::Duration;

use clinic_tests::{
    checker::Expected,
    eventually::eventually,
    load::{Load, draw},
    mailbox::{Mailbox, Pattern},
    process::Setup,
    relay::Relay,
};

use super::mailing;
use crate::count;

const BOOKINGS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_the_confirmation_after_the_cancellation() {
    let mailbox = Mailbox::start(Pattern::Accepting);
    // Slow enough that a cancellation finds the confirmation waiting.
    let setup = Setup::new().set_all(mailing(&mailbox)).set("CLINIC_MAIL_RETRY_BASE", "1s");
    let network = Relay::to(&format!("127.0.0.1:{}", mailbox.port())).await.unwrap();
    let setup = setup.set("CLINIC_SMTP_URL", &format!("smtp://{}", network.address()));
    // Nobody takes mails yet.
    network.cut();
    let mut clinic = setup.start();
    let http = clinic.http();
    Load::closed("overtaken", 4, BOOKINGS).run(&http).await.expect_all(BOOKINGS);
    let tried = "notice WHERE tries > 0 AND state = 'pending' AND channel = 'email'";
    eventually("every confirmation tried", Duration::from_secs(60), || async { (count(&setup, tried) == BOOKINGS as i64).then_some(()) })
        .await;
    for booking in setup.observed().snapshot().accepted {
        http.cancel(booking.id).await.expect(200);
    }
    // Until the notifier has heard of a cancellation, the confirmation may still be sent.
    let overtaken = "notice WHERE state = 'skipped' AND code = 'superseded' AND channel = 'email'";
    let all = || async { (count(&setup, overtaken) == BOOKINGS as i64).then_some(()) };
    eventually("every confirmation overtaken", Duration::from_secs(60), all).await;
    network.restore();
    setup.at_rest(Duration::from_secs(120)).await;
    assert!(clinic.terminate().success());
    for number in 0..BOOKINGS as u64 {
        let mails = mailbox.mails_to(&draw("overtaken").arrival(number).email());
        let methods: Vec<_> = mails.iter().map(|mail| mail.invitation.as_ref().map(|invitation| invitation.method.as_str())).collect();
        assert_eq!(methods, [Some("CANCEL")], "{mails:?}");
    }
    setup.observed().told(mailbox.told());
    setup.check(&Expected::finished().kills_only().watching("email")).assert_clean();
}
