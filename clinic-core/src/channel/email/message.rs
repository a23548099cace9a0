//! The mail of a notice: equal bytes for equal id, whenever it is made.

use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::{
    invitation::{self, Method},
    letter::Letter,
};
use crate::{notification::Notice, ports::ChannelError};

/// Makes the mail of a notice.
pub(super) fn compose(notice: &Notice, from: &Mailbox) -> Result<Message, ChannelError> {
    let to = notice.appointment.contact.email.as_deref().ok_or(ChannelError::Skip { code: "no_contact" })?;
    let to: Address = to.parse().map_err(|error: lettre::address::AddressError| unsendable("bad_address", error))?;
    let letter = Letter::of(notice);
    let (plain, html) = (letter.plain().map_err(unmade)?, letter.html().map_err(unmade)?);
    let invitation = Method::of(notice.event.kind).map(|method| (method, invitation::invitation(notice, method, &from.email, &to)));

    let mut alternative = MultiPart::alternative().boundary(boundary(notice, "alternative")).build();
    alternative = alternative.singlepart(SinglePart::plain(plain)).singlepart(SinglePart::html(html));
    let mut whole = MultiPart::mixed().boundary(boundary(notice, "mixed")).build();
    if let Some((method, invitation)) = &invitation {
        // Twice, as RFC 6047 and the common clients want it: the one that they act upon, and a file for the others.
        let inline = format!("text/calendar; charset=utf-8; method={}", method.as_str());
        alternative = alternative.singlepart(SinglePart::builder().content_type(content_type(&inline)?).body(invitation.clone()));
        let file = Attachment::new("invite.ics".to_owned()).body(invitation.clone(), content_type("application/ics")?);
        whole = whole.multipart(alternative).singlepart(file);
    } else {
        whole = whole.multipart(alternative);
    }
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(letter.subject)
        .date(notice.event.at.into())
        // RFC 5322, section 3.6.4, wants a right side, and no sender's: the id stays when the sender changes. This one is nobody's
        // (RFC 2606), so nobody else gives ids under it.
        .message_id(Some(format!("<{}@clinic.invalid>", notice.id)))
        // So that no absence note answers it (RFC 3834).
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .multipart(whole)
        .map_err(unmade)
}

/// lettre would draw it by chance.
fn boundary(notice: &Notice, part: &str) -> String {
    format!("{part}-{}", notice.id)
}

fn content_type(text: &str) -> Result<ContentType, ChannelError> {
    ContentType::parse(text).map_err(unmade)
}

fn unmade(error: impl std::error::Error + Send + Sync + 'static) -> ChannelError {
    unsendable("mail_unmade", error)
}

fn unsendable(code: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> ChannelError {
    ChannelError::Permanent { code, source: error.into() }
}
