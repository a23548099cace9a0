use clinic_client::{DeadLetterView, Error};
use clinic_core::dead_letter::DeadLetterKind;

/// What happened, why, and what replaying would do, in plain English, from codes alone. `refused` is how a dry run failed.
pub(super) fn explain(letter: &DeadLetterView, refused: Option<&Error>) -> String {
    format!("{}\n{}\n{}", happened(letter), why(&letter.code), outlook(letter, refused))
}

fn happened(letter: &DeadLetterView) -> String {
    let at = letter.at.format("%Y-%m-%d %H:%M:%S UTC");
    let tries = match letter.attempts {
        0 => "before any attempt was finished".to_owned(),
        1 => "after one attempt".to_owned(),
        attempts => format!("after {attempts} attempts"),
    };
    let booking = letter.booking;
    match letter.kind.known() {
        Some(DeadLetterKind::Decide) => format!("What happened: on {at} booking {booking} was rejected {tries}, for want of a decision."),
        Some(DeadLetterKind::Notice) => {
            let channel = letter.channel.as_deref().unwrap_or("an unknown channel");
            format!(
                "What happened: on {at} a notice of booking {booking} on {channel} was given up {tries}. The patient was not told there."
            )
        }
        Some(DeadLetterKind::Release) => {
            format!("What happened: on {at} what had been reserved for booking {booking} could not be given back, {tries}.")
        }
        _ => format!("What happened: on {at} something of booking {booking} failed {tries}: {}, which a newer clinic knows.", letter.kind),
    }
}

fn why(code: &str) -> String {
    let reason = match code {
        "availability_unreachable" => "the availability service failed or did not answer in time, each time it was asked",
        "availability_refused" => "the availability service refused the question itself; asking again without mending that will fail again",
        "processing_failed" => "the processes that worked on it died or were stopped too often while they did",
        "deadline_passed" => "its time to be decided was over before anybody decided it: too few workers, or none",
        "transient" => "the service failed for a moment, each time it was asked",
        "timeout" => "the service did not answer in time",
        "smtp_unreachable" | "smtp_timeout" => "the mail server could not be reached or did not answer in time",
        "smtp_tls" | "smtp_login" => "the mail server's certificate or login was not accepted: look at CLINIC_SMTP_URL",
        "smtp_sender" => "the mail server takes no mail from the clinic's sender: look at CLINIC_MAIL_FROM",
        "smtp_deferred" => "the mail server put the mail off, each time it was offered",
        "smtp_refused" | "bad_address" => "the mail server or the address itself refused the mail: correct the address first",
        "endpoint_gone" => "the webhook's receiver said that it is gone for good (410), and was switched off",
        _ => "see this code in the API's documentation, or in that of the channel it comes from",
    };
    format!("Why: {code}: {reason}.")
}

fn outlook(letter: &DeadLetterView, refused: Option<&Error>) -> String {
    match (letter.replayed_at, letter.replayed_as) {
        (_, Some(booking)) => return format!("Replaying: it was replayed before, as booking {booking}; that is done once."),
        (Some(_), None) => return "Replaying: it was replayed before; that is done once.".to_owned(),
        (None, None) => {}
    }
    if let Some(error) = refused {
        return format!("Replaying would be refused now: {error}.");
    }
    match letter.kind.known() {
        Some(DeadLetterKind::Decide) => {
            "Replaying would make a new booking for the same visit, which takes its time again and is decided and told like any other. \
             This one stays rejected and names the new one."
        }
        Some(DeadLetterKind::Notice) => {
            "Replaying would send the same notice again under its own id, so that a receiver can drop a repeat."
        }
        Some(DeadLetterKind::Release) => "Replaying would ask the availability service once more to give back what was reserved.",
        _ => "Replaying would do what a newer release of this command can say.",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use clinic_client::ErrorKind;
    use clinic_core::{
        api::{Problem, ProblemCode},
        dead_letter::{DeadLetter, DeadLetterId},
    };

    use super::*;

    fn letter(kind: DeadLetterKind, code: &str) -> DeadLetterView {
        let at = chrono::DateTime::UNIX_EPOCH;
        DeadLetterView::from(&DeadLetter::new(DeadLetterId(7), uuid::Uuid::nil().into(), kind, code.into(), 4, at))
    }

    #[test]
    fn it_says_what_happened_why_and_what_replaying_would_do() {
        let said = explain(&letter(DeadLetterKind::Decide, "availability_unreachable"), None);
        assert!(said.contains("was rejected after 4 attempts"), "{said}");
        assert!(said.contains("Why: availability_unreachable: the availability service failed"), "{said}");
        assert!(said.contains("would make a new booking"), "{said}");
    }

    #[test]
    fn it_says_why_a_replay_would_be_refused() {
        let refused = Error::new(ErrorKind::Api(Box::new(Problem::new(ProblemCode::SlotTaken, "another booking overlaps"))));
        let said = explain(&letter(DeadLetterKind::Decide, "availability_unreachable"), Some(&refused));
        assert!(said.contains("refused now") && said.contains("slot_taken"), "{said}");
        assert!(!said.contains("would make"), "{said}");
    }
}
