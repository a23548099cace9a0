//! Told for real, by mail: a server that refuses, is down or never answers, and an independent reader of what it took.

mod cancelled;
mod encrypted;
mod invitation;
pub(crate) mod unanswering;

use clinic_tests::mailbox::Mailbox;

/// Mails beside the log, with little patience between tries.
pub(crate) fn mailing(mailbox: &Mailbox) -> Vec<(&'static str, String)> {
    vec![
        ("CLINIC_CHANNELS", "log,email".into()),
        ("CLINIC_SMTP_URL", mailbox.url()),
        ("CLINIC_MAIL_FROM", "Clínica <clinic@clinic.test>".into()),
        ("CLINIC_MAIL_RETRY_BASE", "50ms".into()),
    ]
}
