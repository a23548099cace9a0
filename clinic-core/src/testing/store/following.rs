use super::{checks, practice::*};
use crate::{
    id::BookingId,
    notification::EventKind,
    ports::{Followed, NoticeEnding, PROGRESS_PAGE},
};

checks! {
    progress_is_the_timeline_after_an_entry,
    all_is_told_once_each_notice_was_tried,
    a_later_event_is_to_be_told_as_well,
    bookings_that_are_not_there_are_left_out,
    a_long_timeline_comes_in_pieces,
}

async fn progress_is_the_timeline_after_an_entry(p: &Practice) {
    let ticket = p.booked(0).await;
    let lease = p.won(ticket).await;
    let told = tell(&p.concluded(&lease, CONFIRM).await, EventKind::Confirmed);
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Retry("busy", SECOND)).await;
    p.advance(SECOND);
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(Some("receipt".into()))).await;
    let timeline = p.timeline(ticket.booking).await;
    let last = timeline.last().map_or(0, |entry| entry.seq);
    for after in 0..=last + 1 {
        let expected: Vec<_> = timeline.iter().filter(|entry| entry.seq > after).cloned().collect();
        assert_eq!(p.progress(ticket.booking, after).await.entries, expected, "the entries after {after}");
    }
}

async fn all_is_told_once_each_notice_was_tried(p: &Practice) {
    let ticket = p.booked(0).await;
    assert!(!p.progress(ticket.booking, 1).await.told, "a pending booking is not told");
    let lease = p.won(ticket).await;
    let told = tell(&p.concluded(&lease, CONFIRM).await, EventKind::Confirmed);
    assert!(!p.progress(ticket.booking, 1).await.told, "nor is a decided one whose notices are not in the ledger yet");
    let notices = p.notices(told).await;
    assert_eq!(notices.len(), 2, "one notice a channel");
    assert!(!p.progress(ticket.booking, 1).await.told, "nor is one whose notices are being sent for the first time");
    p.settled(&notices[0], NoticeEnding::Sent(None)).await;
    assert!(!p.progress(ticket.booking, 1).await.told, "nor is one of whose notices one was not tried");
    p.settled(&notices[1], NoticeEnding::Retry("busy", SECOND)).await;
    assert!(p.progress(ticket.booking, 1).await.told, "a failed try is a try");
}

async fn a_later_event_is_to_be_told_as_well(p: &Practice) {
    let (booking, told) = p.confirmed(0).await;
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    assert!(p.progress(booking, 1).await.told, "the confirmation is told");
    let told = tell(&p.cancelled(booking).await, EventKind::Cancelled);
    assert!(!p.progress(booking, 1).await.told, "the cancellation is not");
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Skipped("no_contact")).await;
    assert!(p.progress(booking, 1).await.told, "one that is skipped is settled");
}

async fn bookings_that_are_not_there_are_left_out(p: &Practice) {
    let (one, other) = (p.booked(0).await.booking, p.booked(1).await.booking);
    let followed = [Followed::new(one, 0), Followed::new(BookingId::generate(), 0), Followed::new(other, 1)];
    let progress = p.store.progress(&followed).await.expect("reading progress");
    let seen: Vec<_> = progress.iter().map(|progress| (progress.booking, progress.entries.len(), progress.told)).collect();
    assert_eq!(seen, [(one, 1, false), (other, 0, false)], "one answer each, in the order of the questions");
    assert!(p.store.progress(&[]).await.is_ok_and(|progress| progress.is_empty()), "no question, no answer");
}

async fn a_long_timeline_comes_in_pieces(p: &Practice) {
    let (booking, told) = p.confirmed(0).await;
    for _ in 0..PROGRESS_PAGE {
        let notice = p.notice(told).await;
        p.settled(&notice, NoticeEnding::Retry("busy", MILLI)).await;
        p.advance(MILLI);
    }
    let notice = p.notice(told).await;
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    let (mut read, timeline) = (Vec::new(), p.timeline(booking).await);
    while read.len() < timeline.len() {
        let progress = p.progress(booking, read.last().map_or(0, |entry: &crate::timeline::Entry| entry.seq)).await;
        assert!((1..=PROGRESS_PAGE).contains(&progress.entries.len()), "{} entries in a piece", progress.entries.len());
        read.extend(progress.entries);
        assert_eq!(progress.told, read.len() == timeline.len(), "all is told with the last piece, and not before");
    }
    assert_eq!(read, timeline);
}
