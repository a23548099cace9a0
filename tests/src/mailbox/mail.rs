//! A mail as independent parsers read it.

use serde_json::Value;
use uuid::Uuid;

use crate::checker::Told;

/// The invitation in a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// `REQUEST` or `CANCEL`.
    pub method: String,
    /// Its stable id.
    pub uid: String,
    /// Its place among the invitations of that id.
    pub sequence: i64,
    /// The instant of its start, in seconds since 1970.
    pub start: Option<i64>,
    /// The instant of its end, in seconds since 1970.
    pub end: Option<i64>,
    /// Whom it invites.
    pub attendee: Option<String>,
}

/// A mail that the mailbox took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its `Message-ID`.
    pub message_id: String,
    /// Whom it says it is from.
    pub from: String,
    /// Whom it was sent to.
    pub recipients: Vec<String>,
    /// What it is about.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// Its HTML.
    pub html: String,
    /// The digest of its bytes.
    pub digest: String,
    /// Its invitation.
    pub invitation: Option<Invitation>,
}

impl Mail {
    pub(super) fn read(value: &Value) -> Self {
        let recipients = value["recipients"].as_array().into_iter().flatten();
        Self {
            message_id: text(&value["message_id"]),
            from: text(&value["from"]),
            recipients: recipients.map(text).collect(),
            subject: text(&value["subject"]),
            text: text(&value["text"]),
            html: text(&value["html"]),
            digest: text(&value["sha256"]),
            invitation: value.get("calendar").filter(|calendar| calendar.is_object()).map(Invitation::read),
        }
    }

    /// The notice it says it is: the local part of its `Message-ID`.
    #[must_use]
    pub fn notice(&self) -> Option<Uuid> {
        self.message_id.strip_prefix('<')?.split_once('@')?.0.parse().ok()
    }

    pub(super) fn told(&self) -> Told {
        let booking = self.invitation.as_ref().and_then(|invitation| invitation.uid.parse().ok());
        let event = self.invitation.as_ref().filter(|invitation| invitation.method == "CANCEL").map(|_| "cancelled".to_owned());
        Told { channel: "email".into(), id: self.notice().unwrap_or_default(), booking, event, seq: None, content: self.digest.clone() }
    }
}

impl Invitation {
    fn read(value: &Value) -> Self {
        Self {
            method: text(&value["method"]),
            uid: text(&value["uid"]),
            sequence: value["sequence"].as_i64().unwrap_or(-1),
            start: value["start"].as_i64(),
            end: value["end"].as_i64(),
            attendee: value["attendee"].as_str().map(str::to_owned),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
