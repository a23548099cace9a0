mod sending;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::*;
use crate::{
    booking::{Appointment, Contact, Language},
    decision::Reason,
    id::{BookingId, JobId, NoticeId, Token},
    notification::{Event, EventKind},
    slot::Slot,
};

fn from() -> Mailbox {
    "Clínica <citas@example.org>".parse().unwrap()
}

fn appointment() -> Appointment {
    let start = DateTime::parse_from_rfc3339("2027-03-28T00:30:00Z").unwrap().to_utc();
    Appointment {
        patient_id: Some("PAC001".into()),
        patient_name: Some("Juan Pérez".into()),
        doctor_id: Some("DOC001".into()),
        slot: Slot::new(start, 90).unwrap(),
        contact: Contact { email: Some("juan@example.com".into()), phone: None },
        language: Language::Spanish,
        timezone: Tz::Europe__Madrid,
    }
}

fn notice(appointment: Appointment, kind: EventKind) -> Notice {
    let at: DateTime<Utc> = DateTime::parse_from_rfc3339("2027-03-21T15:30:00.250Z").unwrap().to_utc();
    let event = Event::new(3, kind, (kind == EventKind::Rejected).then_some(Reason::Unavailable), at);
    let (job, token) = (JobId::generate(), Token::generate());
    Notice::new(NoticeId::generate(), job, token, BookingId::generate(), appointment, event, "email".into(), 0, at)
}

fn mail(notice: &Notice) -> String {
    mail_from(notice, &from())
}

fn mail_from(notice: &Notice, from: &Mailbox) -> String {
    String::from_utf8(message::compose(notice, from).unwrap().formatted()).unwrap()
}

/// The header block of the whole mail.
fn head(mail: &str) -> &str {
    mail.split("\r\n\r\n").next().unwrap()
}

#[test]
fn equal_notices_are_equal_byte_for_byte() {
    for kind in EventKind::ALL {
        let mut again = notice(appointment(), *kind);
        let first = mail(&again);
        again.token = Token::generate();
        again.tries = 5;
        again.until += TimeDelta::hours(1);
        assert_eq!(mail(&again), first, "{kind}");
    }
}

#[test]
fn the_head_names_the_notice_and_nothing_of_the_patient_but_the_address() {
    let notice = notice(appointment(), EventKind::Confirmed);
    let mail = mail(&notice);
    let head = head(&mail);
    for line in [
        format!("Message-ID: <{}@clinic.invalid>", notice.id),
        "To: juan@example.com".into(),
        "Subject: Cita confirmada".into(),
        "Date: Sun, 21 Mar 2027 15:30:00 +0000".into(),
        "Auto-Submitted: auto-generated".into(),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in\n{head}");
    }
    assert!(!head.contains("Juan") && !head.contains("PAC001"));
}

#[test]
fn another_sender_is_another_sender_and_nothing_else() {
    let notice = notice(appointment(), EventKind::Confirmed);
    let (mail, other) = (mail(&notice), mail_from(&notice, &"visits@hospital.example".parse().unwrap()));
    let id = |mail: &str| head(mail).lines().find(|line| line.starts_with("Message-ID: ")).map(str::to_owned);
    assert_eq!(id(&mail), id(&other));
    let to = "juan@example.com".parse().unwrap();
    let uid = |from: &str| {
        let invitation = invitation::invitation(&notice, invitation::Method::Request, &from.parse().unwrap(), &to);
        invitation.lines().find(|line| line.starts_with("UID:")).map(str::to_owned)
    };
    assert_eq!(uid("citas@example.org"), uid("visits@hospital.example"));
}

#[test]
fn hostile_names_and_addresses_make_no_headers_and_no_markup() {
    let mut hostile = appointment();
    hostile.patient_name = Some("<script>alert(1)</script>\r\nBcc: all@example.net".into());
    let letter = letter::Letter::of(&notice(hostile.clone(), EventKind::Confirmed));
    let html = letter.html().unwrap();
    assert!(!html.contains("<script>") && html.contains("&#60;script&#62;"), "{html}");
    let whole = mail(&notice(hostile.clone(), EventKind::Confirmed));
    assert!(!head(&whole).contains("Bcc"));
    for address in ["a@b\r\nBcc: c@d.example", "a b@example.org", "@example.org", "a@-", "a@b@c.example", "a@example..org"] {
        hostile.contact.email = Some(address.into());
        let refused = message::compose(&notice(hostile.clone(), EventKind::Confirmed), &from()).unwrap_err();
        assert!(matches!(refused, ChannelError::Permanent { code: "bad_address", .. }), "{address:?}: {refused:?}");
    }
    hostile.contact.email = None;
    let skipped = message::compose(&notice(hostile, EventKind::Confirmed), &from()).unwrap_err();
    assert!(matches!(skipped, ChannelError::Skip { code: "no_contact" }));
}

#[test]
fn an_invitation_has_one_uid_a_booking_and_is_struck_out_by_a_cancellation() {
    let to = "juan@example.com".parse().unwrap();
    let of = |notice: &Notice| {
        let method = invitation::Method::of(notice.event.kind).unwrap();
        invitation::invitation(notice, method, &from().email, &to)
    };
    let mut notice = notice(appointment(), EventKind::Confirmed);
    let confirmed = of(&notice);
    for line in [
        "METHOD:REQUEST".into(),
        format!("UID:{}", notice.booking),
        "SEQUENCE:0".into(),
        "STATUS:CONFIRMED".into(),
        "DTSTAMP:20270321T153000Z".into(),
        "DTSTART:20270328T003000Z".into(),
        "DTEND:20270328T020000Z".into(),
        "ORGANIZER:mailto:citas@example.org".into(),
        "ATTENDEE;RSVP=FALSE:mailto:juan@example.com".into(),
    ] {
        assert!(confirmed.split("\r\n").any(|found| found == line), "{line} is not in\n{confirmed}");
    }
    assert!(confirmed.split("\r\n").all(|line| line.len() <= 75), "{confirmed}");
    notice.event.kind = EventKind::Cancelled;
    let cancelled = of(&notice);
    for line in ["METHOD:CANCEL".into(), format!("UID:{}", notice.booking), "SEQUENCE:1".into(), "STATUS:CANCELLED".into()] {
        assert!(cancelled.split("\r\n").any(|found| found == line), "{line} is not in\n{cancelled}");
    }
    assert_eq!(invitation::Method::of(EventKind::Rejected), None, "a visit that never was is in no calendar");
    notice.event.kind = EventKind::Rejected;
    assert!(!mail(&notice).contains("text/calendar"));
}

#[test]
fn what_a_stranger_wrote_is_no_link_in_a_letter_and_turns_nothing_around() {
    let mut hostile = appointment();
    hostile.patient_name = Some("http://evil.example/login \u{202e}kcilC ana@evil.example".into());
    hostile.doctor_id = Some("www.evil.example".into());
    let letter = letter::Letter::of(&notice(hostile, EventKind::Confirmed));
    for text in [letter.plain().unwrap(), letter.html().unwrap()] {
        for link in ["://", "evil.example", "www.", "@", "\u{202e}"] {
            assert!(!text.contains(link), "{link:?} is in {text}");
        }
        assert!(text.contains("evil_example") && text.contains("kcilC"), "{text}");
    }
}

#[test]
fn the_letter_says_the_clinics_time_across_a_change_of_clocks() {
    // Madrid goes from +1 to +2 at 01:00 UTC that day; New York is an hour into its own summer; Calcutta has no change.
    for (zone, said) in [(Tz::Europe__Madrid, "01:30"), (Tz::America__New_York, "20:30"), (Tz::Asia__Kolkata, "06:00")] {
        let mut appointment = appointment();
        appointment.timezone = zone;
        let letter = letter::Letter::of(&notice(appointment, EventKind::Confirmed));
        for text in [letter.plain().unwrap(), letter.html().unwrap()] {
            assert!(text.contains(&format!("{said} ({zone})")), "{text}");
        }
    }
    let mut later = appointment();
    later.slot = Slot::new(later.slot.start() + TimeDelta::minutes(30), 30).unwrap();
    let letter = letter::Letter::of(&notice(later, EventKind::Confirmed));
    assert!(letter.plain().unwrap().contains("03:00 (Europe/Madrid)"), "two o'clock does not exist that night");
}

#[test]
fn letters_are_short_and_in_the_bookings_language() {
    for (language, subject) in [(Language::Spanish, "Recordatorio de cita"), (Language::English, "Appointment reminder")] {
        for kind in EventKind::ALL {
            let mut appointment = appointment();
            appointment.language = language;
            let letter = letter::Letter::of(&notice(appointment, *kind));
            assert!(letter.html().unwrap().len() < 4096);
            assert!(letter.html().unwrap().contains(&format!("lang=\"{}\"", language.as_str())));
            assert!(*kind != EventKind::Reminder || letter.subject == subject);
        }
    }
}
