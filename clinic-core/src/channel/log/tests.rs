use std::sync::{Arc, Mutex};

use chrono::DateTime;
use futures_util::future::join_all;

use super::*;
use crate::{
    booking::{Appointment, Contact, Language},
    decision::Reason,
    id::{JobId, Token},
    notification::Event,
    slot::Slot,
};

fn notice(kind: EventKind, reason: Option<Reason>) -> Notice {
    let at = DateTime::parse_from_rfc3339("2027-03-21T15:30:00.250Z").unwrap().to_utc();
    let appointment = Appointment {
        patient_id: Some("PAC001".into()),
        patient_name: Some("Juan Pérez".into()),
        doctor_id: Some("DOC001".into()),
        slot: Slot::new(at, 30).unwrap(),
        contact: Contact { email: Some("juan@example.org".into()), phone: None },
        language: Language::Spanish,
        timezone: chrono_tz::UTC,
    };
    let event = Event::new(3, kind, reason, at);
    Notice::new(NoticeId::generate(), JobId::generate(), Token::generate(), BookingId::generate(), appointment, event, "log".into(), 0, at)
}

/// A writer that keeps what is flushed and can be told to fail.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Page>>);

#[derive(Default)]
struct Page {
    wet: Vec<u8>,
    dry: Vec<u8>,
    /// Bytes it still takes before it fails once.
    fails_after: Option<usize>,
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().dry.clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut page = self.0.lock().unwrap();
        match page.fails_after {
            Some(0) => {
                page.fails_after = None;
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(room) => {
                let taken = room.min(bytes.len());
                page.fails_after = Some(room - taken);
                page.wet.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            None => {
                page.wet.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut page = self.0.lock().unwrap();
        let wet = std::mem::take(&mut page.wet);
        page.dry.extend(wet);
        Ok(())
    }
}

#[test]
fn a_line_holds_ids_and_codes_and_nothing_of_the_patient() {
    let notice = notice(EventKind::Rejected, Some(Reason::Unavailable));
    let (id, booking) = (notice.id, notice.booking);
    assert_eq!(
        line(&notice, LogFormat::Text),
        format!("notice id={id} booking={booking} event=rejected reason=unavailable seq=3 at=2027-03-21T15:30:00.250Z\n")
    );
    assert_eq!(
        line(&notice, LogFormat::Json),
        format!(
            "{{\"notice\":\"{id}\",\"booking\":\"{booking}\",\"event\":\"rejected\",\"reason\":\"unavailable\",\"seq\":3,\"at\":\"2027-03-21T15:30:00.250Z\"}}\n"
        )
    );
}

#[test]
fn a_line_without_reason_has_none() {
    let notice = notice(EventKind::Confirmed, None);
    let (id, booking) = (notice.id, notice.booking);
    let text = format!("notice id={id} booking={booking} event=confirmed seq=3 at=2027-03-21T15:30:00.250Z\n");
    assert_eq!(line(&notice, LogFormat::Text), text);
    assert!(!line(&notice, LogFormat::Json).contains("reason"));
}

#[tokio::test]
async fn what_was_sent_is_written_and_flushed() {
    let paper = Paper::default();
    let channel = LogChannel::new(paper.clone(), LogFormat::Text).unwrap();
    let notices: Vec<_> = (0..3000).map(|_| notice(EventKind::Confirmed, None)).collect();
    let results = join_all(notices.iter().map(|notice| channel.send(notice))).await;
    assert!(results.iter().all(Result::is_ok));
    let text = paper.text();
    assert_eq!(text.lines().count(), 3000);
    for notice in &notices {
        assert!(text.contains(line(notice, LogFormat::Text).as_str()));
    }
}

#[tokio::test]
async fn a_failed_write_may_pass_and_spoils_no_later_line() {
    let paper = Paper::default();
    let channel = LogChannel::new(paper.clone(), LogFormat::Text).unwrap();
    paper.0.lock().unwrap().fails_after = Some(20);
    let notice = notice(EventKind::Cancelled, None);
    let error = channel.send(&notice).await.unwrap_err();
    assert!(matches!(error, ChannelError::Transient { code: "log_unwritable", .. }));
    channel.send(&notice).await.unwrap();
    let text = paper.text();
    assert_eq!(text.lines().last().unwrap(), line(&notice, LogFormat::Text).trim_end());
}

#[tokio::test]
async fn a_writer_that_panics_is_a_failure_not_a_hang() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("a writer may be badly made");
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let channel = LogChannel::new(Broken, LogFormat::Text).unwrap();
    for _ in 0..2 {
        assert!(matches!(channel.send(&notice(EventKind::Confirmed, None)).await, Err(ChannelError::Transient { .. })));
    }
}
