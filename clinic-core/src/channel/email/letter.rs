//! The letter: what a patient reads, as text and as HTML.

use askama::Template;

use super::foreign;
use crate::{
    booking::{Appointment, Language},
    notification::{EventKind, Notice, Text},
};

/// The content of a mail.
#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a>(&'a Letter);

#[derive(Template)]
#[template(path = "letter.txt", escape = "none")]
struct Plain<'a>(&'a Letter);

/// What a mail says, in the booking's language and the clinic's zone.
pub(super) struct Letter {
    lang: &'static str,
    pub(super) subject: String,
    greeting: String,
    body: String,
    /// Of the event: green, red, grey or blue. Words have none of their own: in dark mail programs it would be too dark to read.
    colour: &'static str,
    facts: Vec<(&'static str, String)>,
    footer: &'static str,
}

impl Letter {
    pub(super) fn of(notice: &Notice) -> Self {
        let Text { subject, body } = notice.text();
        let appointment = &notice.appointment;
        let start = appointment.slot.start().with_timezone(&appointment.timezone);
        let words = Words::of(appointment.language);
        let mut facts = vec![
            (words.date, start.format(words.date_format).to_string()),
            (words.time, format!("{} ({})", start.format("%H:%M"), appointment.timezone)),
            (words.length, format!("{} min", appointment.slot.minutes())),
        ];
        if let Some(doctor) = &appointment.doctor_id {
            facts.push((words.doctor, foreign::plain(doctor)));
        }
        facts.push((words.reference, notice.booking.to_string()));
        let colour = match notice.event.kind {
            EventKind::Confirmed => "#1a7f37",
            EventKind::Rejected => "#b42318",
            EventKind::Cancelled => "#57606a",
            EventKind::Reminder => "#0b5cad",
        };
        Self { lang: appointment.language.as_str(), subject, greeting: greeting(appointment), body, colour, facts, footer: words.footer }
    }

    pub(super) fn html(&self) -> Result<String, askama::Error> {
        Html(self).render()
    }

    pub(super) fn plain(&self) -> Result<String, askama::Error> {
        Plain(self).render()
    }
}

fn greeting(appointment: &Appointment) -> String {
    let name = appointment.patient_name.as_deref().map(foreign::plain).filter(|name| !name.is_empty());
    match (appointment.language, name) {
        (Language::Spanish, Some(name)) => format!("Hola, {name}:"),
        (Language::Spanish, None) => "Hola:".into(),
        (Language::English, Some(name)) => format!("Hello {name},"),
        (Language::English, None) => "Hello,".into(),
    }
}

/// The words of a language.
struct Words {
    date: &'static str,
    date_format: &'static str,
    time: &'static str,
    length: &'static str,
    doctor: &'static str,
    reference: &'static str,
    footer: &'static str,
}

impl Words {
    const fn of(language: Language) -> Self {
        match language {
            Language::Spanish => Self {
                date: "Fecha",
                date_format: "%d/%m/%Y",
                time: "Hora",
                length: "Duración",
                doctor: "Profesional",
                reference: "Referencia",
                footer: "Este mensaje se envía automáticamente; no responda a él, por favor.",
            },
            Language::English => Self {
                date: "Date",
                date_format: "%d %B %Y",
                time: "Time",
                length: "Length",
                doctor: "Doctor",
                reference: "Reference",
                footer: "This message was sent automatically; please do not reply to it.",
            },
        }
    }
}
