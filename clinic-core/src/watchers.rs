//! Watchers: those who follow bookings entry by entry. All of them share one batched re-read of the store.
//!
//! A follower is one question at a time: it asks for what comes after the entry it has, and asks again once it has passed that on. So
//! one that does not read holds a place and a number, whatever happens to its booking meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    batches::Batches,
    id::BookingId,
    ports::{Followed, Progress, Store},
    timeline::Entry,
    waiters::Waiters,
};

/// Who follows what.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    watching: Mutex<HashMap<BookingId, Vec<Watch>>>,
}

#[derive(Debug)]
struct Watch {
    after: u32,
    sender: oneshot::Sender<Progress>,
}

impl Watchers {
    /// Waits for something to happen after an entry; dropping the receiver gives up.
    fn register(&self, followed: Followed) -> oneshot::Receiver<Progress> {
        let (sender, receiver) = oneshot::channel();
        self.watching().entry(followed.booking).or_default().push(Watch { after: followed.after, sender });
        receiver
    }

    /// Forgets those who gave up; what is still followed, and from where.
    pub(crate) fn followed(&self) -> Vec<Followed> {
        let mut watching = self.watching();
        watching.retain(|_, watches| {
            watches.retain(|watch| !watch.sender.is_closed());
            !watches.is_empty()
        });
        watching.iter().filter_map(|(id, watches)| from_first(*id, watches)).collect()
    }

    /// Those of some bookings that are followed, and from where.
    pub(crate) fn followed_among(&self, ids: &[BookingId]) -> Vec<Followed> {
        let watching = self.watching();
        ids.iter().filter_map(|id| from_first(*id, watching.get(id)?)).collect()
    }

    /// Reads what happened to these, and tells those who follow them.
    pub(crate) async fn reread(&self, store: &dyn Store, followed: &[Followed]) {
        let mut batches = Batches::of(followed);
        while let Some(followed) = batches.next() {
            match store.progress(followed).await {
                Ok(progress) => self.tell(followed, &progress),
                Err(error) => batches.failed(followed, &error),
            }
        }
    }

    fn tell(&self, followed: &[Followed], progress: &[Progress]) {
        let read_after: HashMap<_, _> = followed.iter().map(|followed| (followed.booking, followed.after)).collect();
        let mut watching = self.watching();
        for progress in progress {
            if let Some(after) = read_after.get(&progress.booking) {
                tell(&mut watching, progress, *after);
            }
        }
    }

    fn watching(&self) -> MutexGuard<'_, HashMap<BookingId, Vec<Watch>>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From where a booking is read for all who follow it.
fn from_first(booking: BookingId, watches: &[Watch]) -> Option<Followed> {
    watches.iter().map(|watch| watch.after).min().map(|after| Followed::new(booking, after))
}

/// Tells whoever follows the booking from where it was read, or from later: who came meanwhile and has less would miss entries.
fn tell(watching: &mut HashMap<BookingId, Vec<Watch>>, progress: &Progress, read_after: u32) {
    let Some(watches) = watching.get_mut(&progress.booking) else { return };
    let news = |watch: &Watch| progress.told || progress.entries.last().is_some_and(|entry| entry.seq > watch.after);
    for watch in watches.extract_if(.., |watch| watch.after >= read_after && news(watch)) {
        let entries = progress.entries.iter().filter(|entry| entry.seq > watch.after).cloned().collect();
        let _ = watch.sender.send(Progress::new(progress.booking, entries, progress.told));
    }
    if watches.is_empty() {
        watching.remove(&progress.booking);
    }
}

/// Somebody who follows one booking.
#[derive(Debug)]
pub struct Follower {
    waiters: Arc<Waiters>,
    /// Up to where it has the entries.
    at: Followed,
    /// Read, but not passed on yet.
    unread: Vec<Entry>,
    told: bool,
    coming: Option<oneshot::Receiver<Progress>>,
}

impl Follower {
    /// Begins to listen, and only then to read, so that nothing falls between the two.
    pub(crate) fn listening(waiters: Arc<Waiters>, at: Followed) -> Self {
        let coming = Some(waiters.watchers().register(at));
        Self { waiters, at, unread: Vec::new(), told: false, coming }
    }

    /// Takes what was read, as far as it is news.
    pub(crate) fn take(&mut self, progress: Progress) {
        self.told |= progress.told;
        self.unread.extend(progress.entries.into_iter().filter(|entry| entry.seq > self.at.after));
        if let Some(last) = self.unread.last() {
            self.at.after = last.seq;
        }
    }

    /// Whether there is nothing more to wait for: the booking is decided, each notice was tried, and every entry was passed on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.told && self.unread.is_empty()
    }

    /// The next entries, one at least, oldest first; `None` when it is [over](Self::is_over) or the clinic stops. Dropped half-way it
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Entry>> {
        loop {
            if !self.unread.is_empty() {
                return Some(std::mem::take(&mut self.unread));
            }
            if self.told {
                return None;
            }
            let coming = self.coming.get_or_insert_with(|| self.waiters.watchers().register(self.at));
            let progress = coming.await;
            self.coming = None;
            self.take(progress.ok()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::timeline::EntryKind;

    fn progress(booking: BookingId, seqs: impl Iterator<Item = u32>, told: bool) -> Progress {
        Progress::new(booking, seqs.map(|seq| Entry::new(seq, DateTime::UNIX_EPOCH, EntryKind::Attempt)).collect(), told)
    }

    fn seqs(receiver: &mut oneshot::Receiver<Progress>) -> Option<Vec<u32>> {
        receiver.try_recv().ok().map(|progress| progress.entries.iter().map(|entry| entry.seq).collect())
    }

    #[test]
    fn each_is_told_what_it_lacks_and_who_lacks_more_than_was_read_waits() {
        let (watchers, id) = (Watchers::default(), BookingId::generate());
        let [mut early, mut late, mut latest] = [1, 2, 4].map(|after| watchers.register(Followed::new(id, after)));
        assert_eq!(watchers.followed(), [Followed::new(id, 1)]);
        // Read after 2, when the one that has less was not there yet.
        tell(&mut watchers.watching(), &progress(id, 3..=4, false), 2);
        assert_eq!((seqs(&mut early), seqs(&mut late), seqs(&mut latest)), (None, Some(vec![3, 4]), None));
        tell(&mut watchers.watching(), &progress(id, 2..=4, true), 1);
        assert_eq!((seqs(&mut early), seqs(&mut latest)), (Some(vec![2, 3, 4]), Some(vec![])));
        assert!(watchers.watching().is_empty());
    }

    #[test]
    fn who_gave_up_is_forgotten() {
        let (watchers, id) = (Watchers::default(), BookingId::generate());
        drop(watchers.register(Followed::new(id, 0)));
        assert!(watchers.followed().is_empty() && watchers.watching().is_empty());
    }

    #[tokio::test]
    async fn a_follower_gets_no_entry_twice_and_ends_when_all_is_told() {
        let (waiters, id) = (Arc::new(Waiters::default()), BookingId::generate());
        let mut follower = Follower::listening(Arc::clone(&waiters), Followed::new(id, 0));
        follower.take(progress(id, 1..=2, false));
        let (mut passed, seqs) = (Vec::new(), |entries: Vec<Entry>| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>());
        passed.push(seqs(follower.next().await.unwrap()));
        // It listened since before it read: what comes now overlaps.
        tell(&mut waiters.watchers().watching(), &progress(id, 1..=3, true), 0);
        passed.push(seqs(follower.next().await.unwrap()));
        assert_eq!(passed, [vec![1, 2], vec![3]]);
        assert!(follower.is_over() && follower.next().await.is_none());
    }
}
