use super::{checks, practice::*};
use crate::{booking::Language, notification::EventKind, ports::NoticeEnding, timeline::EntryKind};

checks! {
    a_whole_life_is_told_in_order,
    a_timeline_holds_no_patient_data,
}

async fn a_whole_life_is_told_in_order(p: &Practice) {
    let ticket = p.booked(0).await;
    p.advance(SECOND);
    let lease = p.won(ticket).await;
    p.concluded(&lease, retry_in(SECOND)).await;
    p.advance(SECOND);
    p.won(ticket).await;
    p.advance(SECOND);
    let lease = won(p.reclaim(ticket).await);
    let told = tell(&p.concluded(&lease, CONFIRM).await, EventKind::Confirmed);
    let notice = p.notice(told).await;
    p.advance(SECOND);
    p.settled(&notice, NoticeEnding::Retry("busy", SECOND)).await;
    p.advance(SECOND);
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    p.advance(SECOND);
    let told = tell(&p.cancelled(ticket.booking).await, EventKind::Cancelled);
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let timeline = p.timeline(ticket.booking).await;
    let expected = [
        EntryKind::Accepted,
        EntryKind::Attempt,
        EntryKind::AttemptLost,
        EntryKind::Attempt,
        EntryKind::Confirmed,
        EntryKind::NoticeRetry,
        EntryKind::NoticeSent,
        EntryKind::Cancelled,
        EntryKind::NoticeSent,
    ];
    assert_eq!(kinds(&timeline), expected, "everything that happened, in order");
    assert_eq!(timeline[0].seq, 1, "the acceptance is entry 1");
    assert!(timeline.is_sorted_by(|a, b| a.seq < b.seq), "places rise strictly");
    assert!(timeline.is_sorted_by_key(|entry| entry.at), "and times never fall back");
    let booking = p.booking(ticket.booking).await;
    assert_eq!((timeline[0].at, Some(timeline[4].at)), (booking.created_at, booking.decided_at), "with the booking's own times");
    let attempts: Vec<_> = timeline[1..4].iter().map(|entry| entry.attempt).collect();
    assert_eq!(attempts, [Some(1), Some(2), Some(2)], "a lost attempt has the number it is made again under");
}

async fn a_timeline_holds_no_patient_data(p: &Practice) {
    let ticket =
        p.accepted(visit(0).named("Zacarias").contact("zacarias@example.org", "+34 600 123 456").language(Language::English)).await;
    let lease = p.won(ticket).await;
    let told = tell(&p.concluded(&lease, REJECT).await, EventKind::Rejected);
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let text = format!("{:?} {:?}", p.timeline(ticket.booking).await, p.ledger(ticket.booking).await);
    for secret in ["acarias", "example.org", "123 456", "DOC001"] {
        assert!(!text.contains(secret), "a timeline or ledger gives {secret} away");
    }
}
