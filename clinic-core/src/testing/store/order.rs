use super::{checks, practice::*};
use crate::{
    id::BookingId,
    notification::{EventKind, Notice, NoticeState, SUPERSEDED},
    ports::{NoticeEnding, NoticeSettled},
    timeline::EntryKind,
};

checks! {
    events_told_one_after_the_other_are_all_sent,
    an_older_event_claimed_after_a_later_one_is_superseded,
    an_older_notice_waiting_for_its_next_try_is_superseded,
    an_older_event_whose_message_was_lost_is_superseded,
    a_later_event_waits_for_an_older_one_in_flight,
    the_sweep_does_not_overtake_a_notice_in_flight,
    a_later_event_goes_out_however_the_older_one_ends,
    channels_keep_their_order_each_for_itself,
    a_dead_notifier_does_not_hold_later_events_up_for_ever,
    nothing_later_goes_out_while_a_notifier_that_was_cut_off_may_still_send,
    a_notice_taken_over_from_a_living_notifier_keeps_later_ones_waiting,
    a_notice_taken_over_and_sent_keeps_nothing_waiting,
    a_notice_that_rests_after_its_losses_keeps_later_ones_waiting,
    bookings_do_not_wait_for_each_other,
}

const LOG: [(&str, usize); 1] = [("log", 100)];

/// A booking confirmed and then cancelled, and the two tell jobs.
async fn told_twice(p: &Practice, n: i64) -> (BookingId, Ticket, Ticket) {
    let (id, confirmed) = p.confirmed(n).await;
    (id, confirmed, cancelled(p, id).await)
}

async fn cancelled(p: &Practice, id: BookingId) -> Ticket {
    tell(&p.cancelled(id).await, EventKind::Cancelled)
}

async fn assert_superseded(p: &Practice, id: BookingId) {
    let ledger = p.ledger(id).await;
    let rows: Vec<_> = ledger.iter().map(|row| (row.event, row.state, row.code.as_deref())).collect();
    let expected = [(EventKind::Confirmed, NoticeState::Skipped, Some(SUPERSEDED)), (EventKind::Cancelled, NoticeState::Sent, None)];
    assert_eq!(rows, expected, "the older is skipped as superseded, the later sent");
    let skipped: Vec<_> = p.timeline(id).await.into_iter().filter(|entry| entry.kind == EntryKind::NoticeSkipped).collect();
    assert_eq!(skipped.len(), 1, "the timeline says once that it was skipped");
    assert_eq!(skipped[0].code.as_deref(), Some(SUPERSEDED), "and why");
    assert_eq!(skipped[0].notice, Some(ledger[0].id.to_string()), "and which");
}

fn one(notices: Vec<Notice>, kind: EventKind) -> Notice {
    match <[Notice; 1]>::try_from(notices) {
        Ok([notice]) => {
            assert_eq!(notice.event.kind, kind, "the event that is to be told");
            notice
        }
        Err(notices) => panic!("expected the {kind} notice alone, got {:?}", notices.iter().map(|n| n.event.kind).collect::<Vec<_>>()),
    }
}

async fn events_told_one_after_the_other_are_all_sent(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let first = p.notice(confirmed).await;
    p.settled(&first, NoticeEnding::Sent(None)).await;
    let later = cancelled(p, id).await;
    let second = one(p.log_notices(later).await, EventKind::Cancelled);
    assert!(first.event.seq < second.event.seq && first.id != second.id, "each event has its notice, in order");
    p.settled(&second, NoticeEnding::Sent(None)).await;
    let states: Vec<_> = p.states(id).await.into_iter().map(|(event, _, state)| (event, state)).collect();
    assert_eq!(
        states,
        [(EventKind::Confirmed, NoticeState::Sent), (EventKind::Cancelled, NoticeState::Sent)],
        "both are sent, in event order"
    );
}

async fn an_older_event_claimed_after_a_later_one_is_superseded(p: &Practice) {
    let (id, confirmed, cancelled) = told_twice(p, 0).await;
    let notice = one(p.log_notices(cancelled).await, EventKind::Cancelled);
    assert!(p.log_notices(confirmed).await.is_empty(), "what is overtaken is not sent while the later is");
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    assert!(p.notices_as(&notifier(&LOG), confirmed, true).await.is_empty(), "nor after it");
    p.advance(LONG);
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "nor by the sweep");
    assert_superseded(p, id).await;
}

async fn an_older_notice_waiting_for_its_next_try_is_superseded(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let first = p.notice(confirmed).await;
    p.settled(&first, NoticeEnding::Retry("smtp_busy", 5 * SECOND)).await;
    let later = cancelled(p, id).await;
    let second = one(p.log_notices(later).await, EventKind::Cancelled);
    assert_eq!(p.states(id).await[0].2, NoticeState::Skipped, "whoever claims the later skips the older");
    p.advance(6 * SECOND);
    assert!(p.log_notices(confirmed).await.is_empty(), "its next try is not made");
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "nor by the sweep");
    p.settled(&second, NoticeEnding::Sent(None)).await;
    p.advance(LONG);
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "ever");
    assert_superseded_after_tries(p, id).await;
}

async fn assert_superseded_after_tries(p: &Practice, id: BookingId) {
    let rows: Vec<_> = p.ledger(id).await.into_iter().map(|row| (row.event, row.state, row.code)).collect();
    assert_eq!(rows[0], (EventKind::Confirmed, NoticeState::Skipped, Some(SUPERSEDED.to_owned())), "the older is skipped as superseded");
    assert_eq!((rows[1].0, rows[1].1), (EventKind::Cancelled, NoticeState::Sent), "the later is sent");
}

async fn an_older_event_whose_message_was_lost_is_superseded(p: &Practice) {
    let (id, _lost, cancelled) = told_twice(p, 0).await;
    let notice = one(p.log_notices(cancelled).await, EventKind::Cancelled);
    p.settled(&notice, NoticeEnding::Sent(None)).await;
    p.advance(LONG);
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "the sweep sends nothing that was overtaken");
    assert_superseded(p, id).await;
}

async fn a_later_event_waits_for_an_older_one_in_flight(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let first = p.notice(confirmed).await;
    let later = cancelled(p, id).await;
    assert!(p.log_notices(later).await.is_empty(), "while the older is being sent, the later waits");
    let woken = p.settled(&first, NoticeEnding::Sent(None)).await;
    assert_eq!(woken, [later], "whoever settles the older is told what waited");
    let second = one(p.log_notices(later).await, EventKind::Cancelled);
    p.settled(&second, NoticeEnding::Sent(None)).await;
    let states: Vec<_> = p.states(id).await.into_iter().map(|(event, _, state)| (event, state)).collect();
    assert_eq!(states, [(EventKind::Confirmed, NoticeState::Sent), (EventKind::Cancelled, NoticeState::Sent)], "both went out, in order");
}

async fn the_sweep_does_not_overtake_a_notice_in_flight(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    p.advance(LONG);
    let first = one(p.log_notices(confirmed).await, EventKind::Confirmed);
    let later = cancelled(p, id).await;
    p.hasten(&[later.job]).await;
    p.advance(SECOND);
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "the sweep waits too");
    assert!(p.notices_as(&notifier(&LOG), later, true).await.is_empty(), "and so does a redelivered message");
    let woken = p.settled(&first, NoticeEnding::Sent(None)).await;
    assert_eq!(woken, [later], "whoever settles the older is told what waited");
    one(p.overdue_notices(&LOG, 10).await, EventKind::Cancelled);
}

async fn a_later_event_goes_out_however_the_older_one_ends(p: &Practice) {
    let endings = [
        NoticeEnding::Retry("smtp_busy", LONG),
        NoticeEnding::Failed("address_refused"),
        NoticeEnding::Skipped("no_contact"),
        NoticeEnding::Returned,
    ];
    for (n, ending) in (0..).zip(endings) {
        let (id, confirmed) = p.confirmed(n).await;
        let first = p.notice(confirmed).await;
        let later = cancelled(p, id).await;
        assert!(p.log_notices(later).await.is_empty(), "while the older is being sent, the later waits");
        let woken = p.settled(&first, ending.clone()).await;
        assert_eq!(woken, [later], "after {ending:?} the later is due");
        let second = one(p.log_notices(later).await, EventKind::Cancelled);
        assert!(p.log_notices(confirmed).await.is_empty(), "after {ending:?} the older is not sent beside the later");
        p.settled(&second, NoticeEnding::Sent(None)).await;
        p.advance(2 * LONG);
        assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "nor ever after");
        let (event, _, state) = p.states(id).await.swap_remove(0);
        assert_eq!(event, EventKind::Confirmed, "the ledger is in event order");
        let expected = if matches!(ending, NoticeEnding::Failed(_)) { NoticeState::Failed } else { NoticeState::Skipped };
        assert_eq!(state, expected, "after {ending:?} the older has its end");
    }
}

async fn channels_keep_their_order_each_for_itself(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let first = p.notices(confirmed).await;
    let on = |channel: &str| first.iter().find(|notice| notice.channel == channel).expect("both channels have a notice");
    let later = cancelled(p, id).await;
    p.settled(on("log"), NoticeEnding::Sent(None)).await;
    let log = one(p.notices(later).await, EventKind::Cancelled);
    assert_eq!(log.channel, "log", "the channel that is done goes on");
    assert_eq!(p.settled(on("email"), NoticeEnding::Sent(None)).await, [later], "the other follows when it is done");
    let email = one(p.notices(later).await, EventKind::Cancelled);
    assert_eq!(email.channel, "email", "with its own notice");
    p.settled(&log, NoticeEnding::Sent(None)).await;
    p.settled(&email, NoticeEnding::Sent(None)).await;
    assert!(p.states(id).await.iter().all(|(_, _, state)| *state == NoticeState::Sent), "everything went out");
}

async fn a_dead_notifier_does_not_hold_later_events_up_for_ever(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let dead = p.notice(confirmed).await;
    let later = cancelled(p, id).await;
    assert!(p.log_notices(later).await.is_empty(), "while the older is being sent, the later waits");
    let mut sent = Vec::new();
    for _ in 0..6 {
        p.advance(LEASE + SECOND);
        for notice in p.overdue_notices(&LOG, 10).await {
            sent.push(notice.event.seq);
            p.settled(&notice, NoticeEnding::Sent(None)).await;
        }
    }
    assert!(sent.is_sorted(), "what goes out goes out in order");
    let (event, _, state) = p.states(id).await.pop().expect("the ledger has rows");
    assert_eq!((event, state), (EventKind::Cancelled, NoticeState::Sent), "the later is sent in the end");
    let before = p.picture(id).await;
    assert_eq!(p.settle(&dead, NoticeEnding::Sent(None)).await, NoticeSettled::Fenced, "the dead notifier comes too late");
    assert_eq!(p.picture(id).await, before, "and changes nothing");
}

/// A cancellation whose notice is in the ledger and waits for the older one.
async fn cancelled_and_waiting(p: &Practice, id: BookingId) -> Ticket {
    let later = cancelled(p, id).await;
    assert!(p.log_notices(later).await.is_empty(), "while the older may be being sent, the later waits");
    later
}

async fn taken_over(p: &Practice, confirmed: Ticket) -> Notice {
    one(p.notices_as(&notifier(&LOG), confirmed, true).await, EventKind::Confirmed)
}

/// Nothing later goes out before the leases are over; then it does.
async fn assert_later_waits_for_the_lease(p: &Practice, confirmed: Ticket, later: Ticket) {
    for _ in 0..3 {
        for ticket in [confirmed, later] {
            assert!(p.log_notices(ticket).await.is_empty(), "nothing goes out while the former holder may still send");
            assert!(p.notices_as(&notifier(&LOG), ticket, true).await.is_empty(), "redelivered or not");
        }
        assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "nor by the sweep");
        p.advance(SECOND);
    }
    p.advance(LEASE);
    let second = one(p.overdue_notices(&LOG, 10).await, EventKind::Cancelled);
    p.settled(&second, NoticeEnding::Sent(None)).await;
    p.advance(LONG);
    assert!(p.overdue_notices(&LOG, 10).await.is_empty(), "the older is not sent after the later");
}

async fn nothing_later_goes_out_while_a_notifier_that_was_cut_off_may_still_send(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let cut_off = p.notice(confirmed).await;
    let later = cancelled_and_waiting(p, id).await;
    assert_later_waits_for_the_lease(p, confirmed, later).await;
    assert_eq!(p.settle(&cut_off, NoticeEnding::Sent(None)).await, NoticeSettled::Fenced, "by then it is fenced");
    assert_superseded(p, id).await;
}

async fn a_notice_taken_over_from_a_living_notifier_keeps_later_ones_waiting(p: &Practice) {
    let endings = [
        NoticeEnding::Retry("smtp_busy", SECOND),
        NoticeEnding::Retry("smtp_busy", LONG),
        NoticeEnding::Failed("address_refused"),
        NoticeEnding::Skipped("no_contact"),
        NoticeEnding::Returned,
    ];
    for (n, ending) in (0..).zip(endings) {
        let (id, confirmed) = p.confirmed(n).await;
        let cut_off = p.notice(confirmed).await;
        let again = taken_over(p, confirmed).await;
        assert!(again.id == cut_off.id && again.text() == cut_off.text(), "a repeat has the same id and content");
        let later = cancelled_and_waiting(p, id).await;
        p.settled(&again, ending.clone()).await;
        assert_later_waits_for_the_lease(p, confirmed, later).await;
        let (event, _, state) = p.states(id).await.swap_remove(0);
        let expected = if matches!(ending, NoticeEnding::Failed(_)) { NoticeState::Failed } else { NoticeState::Skipped };
        assert_eq!((event, state), (EventKind::Confirmed, expected), "after {ending:?} the older has its end");
    }
}

async fn a_notice_taken_over_and_sent_keeps_nothing_waiting(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let _cut_off = p.notice(confirmed).await;
    let again = taken_over(p, confirmed).await;
    let later = cancelled_and_waiting(p, id).await;
    assert_eq!(p.settled(&again, NoticeEnding::Sent(None)).await, [later], "whatever comes late is a repeat, which its receiver drops");
    one(p.log_notices(later).await, EventKind::Cancelled);
}

async fn a_notice_that_rests_after_its_losses_keeps_later_ones_waiting(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    p.notice(confirmed).await;
    let mut losses = 0;
    while !p.notices_as(&notifier(&LOG), confirmed, true).await.is_empty() {
        losses += 1;
        assert!(losses < 20, "a notice that is lost again and again rests");
    }
    let later = cancelled_and_waiting(p, id).await;
    assert_later_waits_for_the_lease(p, confirmed, later).await;
}

async fn bookings_do_not_wait_for_each_other(p: &Practice) {
    let (_, one_told) = p.confirmed(0).await;
    p.notice(one_told).await;
    let (_, _, two_told) = told_twice(p, 1).await;
    one(p.log_notices(two_told).await, EventKind::Cancelled);
}
