//! A store that an earlier release left at work.

use rusqlite::Connection;
use uuid::Uuid;

use super::*;
use crate::{
    booking::Status,
    decision::{AttemptOutcome, Decision},
    notification::{EventKind, NoticeState},
    ports::{Ending, NoticeEnding},
    store::sqlite::migrate::VERSIONS,
};

fn id(number: u128) -> BookingId {
    Uuid::from_u128(number).into()
}

fn version_2() -> Place {
    let place = Place::new();
    let old = Connection::open(&place.path).unwrap();
    for sql in &VERSIONS[..2] {
        old.execute_batch(sql).unwrap();
    }
    old.pragma_update(None, "user_version", 2).unwrap();
    old.execute_batch(include_str!("version2.sql")).unwrap();
    place
}

fn notifier() -> NoticeClaimant {
    NoticeClaimant::new("n".into(), Duration::from_secs(30), vec![("log".into(), 9), ("email".into(), 9)])
}

async fn all_sent(store: &SqliteStore, notices: Vec<Notice>) {
    let sent: Vec<_> = notices.into_iter().map(|notice| NoticeResult::new(notice, NoticeEnding::Sent(None))).collect();
    let settled = store.settle_notices(&sent).await.unwrap();
    assert!(settled.iter().all(|settled| matches!(settled, NoticeSettled::Done(_))), "{settled:?}");
}

#[tokio::test]
async fn what_the_second_version_left_undone_is_done() {
    let place = version_2();
    let store = place.open();
    // The message of one comes, and its booking is decided and told.
    let request = ClaimRequest::new(Uuid::from_u128(0x11).into(), id(1), false);
    let claim = store.claim(&claimant(), &[request]).await.unwrap().pop();
    let Some(Claim::Won(lease)) = claim else { panic!("{claim:?}") };
    let confirmed = Conclusion::new(*lease, "w".into(), Ending::Decided(Decision::Confirmed, AttemptOutcome::Available));
    let concluded = store.conclude(&[confirmed]).await.unwrap().pop();
    let Some(Concluded::Done(publications)) = concluded else { panic!("{concluded:?}") };
    let tell = ClaimRequest::new(publications[0].message.job, id(1), false);
    let notices = store.claim_notices(&notifier(), &[tell]).await.unwrap().pop().unwrap();
    assert_eq!(notices.len(), 2);
    all_sent(&store, notices).await;
    // The sweep finds the rest: a booking whose worker is gone, a decision and a cancellation to tell.
    let overdue = store.claim_overdue(&claimant(), 9).await.unwrap().leases;
    assert_eq!(overdue.iter().map(|lease| (lease.booking.id, lease.attempt)).collect::<Vec<_>>(), [(id(2), 2)]);
    let mut notices = store.claim_overdue_notices(&notifier(), 9).await.unwrap().notices;
    notices.sort_by_key(|notice| (notice.booking, notice.channel.clone()));
    let due: Vec<_> = notices.iter().map(|notice| (notice.booking, notice.event.kind, notice.channel.as_str(), notice.tries)).collect();
    let expected =
        [(id(3), EventKind::Confirmed, "email", 0), (id(3), EventKind::Confirmed, "log", 0), (id(5), EventKind::Cancelled, "log", 1)];
    assert_eq!(due, expected);
    all_sent(&store, notices).await;
    // What was confirmed before can be cancelled, and only what was confirmed since is reminded of.
    let planned = "SELECT group_concat(hex(id)) FROM booking WHERE remind_at IS NOT NULL";
    let planned: String = file::connect(&place.path).unwrap().query_row(planned, [], |row| row.get(0)).unwrap();
    assert_eq!(planned, format!("{:032X}", 1));
    assert!(matches!(store.cancel(id(3)).await.unwrap(), Cancellation::Done(..)));
    assert!(matches!(store.cancel(id(4)).await.unwrap(), Cancellation::Refused(_)));
}

#[tokio::test]
async fn what_the_second_version_had_done_stays() {
    let place = version_2();
    let store = place.open();
    let records = store.list(&Filter::default()).await.unwrap();
    let statuses: Vec<_> = records.iter().map(|record| record.booking.status).collect();
    let [pending, confirmed, rejected, cancelled] = [Status::Pending, Status::Confirmed, Status::Rejected, Status::Cancelled];
    assert_eq!(statuses, [pending, pending, confirmed, rejected, cancelled, rejected]);
    let states = |number: usize| records[number].notices.iter().map(|notice| (notice.state, notice.tries)).collect::<Vec<_>>();
    assert_eq!(states(3), [(NoticeState::Failed, 8), (NoticeState::Sent, 0)]);
    assert_eq!(states(4), [(NoticeState::Skipped, 1), (NoticeState::Pending, 1)]);
    for record in &records {
        let timeline = store.timeline(record.booking.id).await.unwrap().unwrap();
        assert!(timeline.iter().map(|entry| entry.seq).eq(1..=timeline.len() as u32), "{timeline:?}");
    }
    // The desk can replay what failed before it was there.
    let letters = store.dead_letters(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        let replay = store.try_replay(letter.id).await.unwrap();
        assert!(matches!(replay, Replayed::Possible(_)), "{replay:?}");
    }
}
