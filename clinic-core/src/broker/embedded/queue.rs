//! One queue: messages waiting, the seats of its consumers, and the dead.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    message::Message,
    ports::PublishError,
    topology::{DELIVERY_LIMIT, Publication},
};

/// Dead messages kept to be counted; older ones go first.
const DEAD: usize = 10_000;

/// A message and how often a consumer went away holding it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parked {
    pub(super) message: Message,
    pub(super) returns: u32,
}

/// A queue behind its lock. The lock is never held over an await, and wakers are called after it is let go.
#[derive(Debug)]
pub(super) struct QueueState(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    capacity: usize,
    closed: bool,
    /// The place in line of the next message, and the name of the next seat.
    next_place: u64,
    next_seat: u64,
    /// By place in line: what comes back goes back to its place, before everything younger.
    waiting: BTreeMap<u64, Parked>,
    seats: Vec<Seat>,
    /// The seat whose turn it is.
    turn: usize,
    dead: VecDeque<Message>,
}

/// A consumer's side of the queue.
#[derive(Debug)]
struct Seat {
    name: u64,
    prefetch: usize,
    cancelled: bool,
    /// Given to this consumer, not yet taken by it.
    inbox: BTreeMap<u64, Parked>,
    /// Taken, not yet acknowledged.
    in_hand: BTreeMap<u64, Parked>,
    waker: Option<Waker>,
}

impl Seat {
    fn has_room(&self) -> bool {
        !self.cancelled && self.inbox.len() + self.in_hand.len() < self.prefetch
    }
}

impl QueueState {
    pub(super) const fn new(capacity: usize) -> Self {
        Self(Mutex::new(Inner {
            capacity,
            closed: false,
            next_place: 0,
            next_seat: 0,
            waiting: BTreeMap::new(),
            seats: Vec::new(),
            turn: 0,
            dead: VecDeque::new(),
        }))
    }

    pub(super) fn publish(&self, run: &[Publication], results: &mut Vec<Result<(), PublishError>>) {
        self.change(|inner| {
            for publication in run {
                results.push(inner.put(publication.message));
            }
        });
    }

    /// A new seat's name; `None` when closed.
    pub(super) fn sit(&self, prefetch: usize) -> Option<u64> {
        self.change(|inner| {
            if inner.closed {
                return None;
            }
            let name = inner.next_seat;
            inner.next_seat += 1;
            inner.seats.push(Seat {
                name,
                prefetch: prefetch.max(1),
                cancelled: false,
                inbox: BTreeMap::new(),
                in_hand: BTreeMap::new(),
                waker: None,
            });
            Some(name)
        })
    }

    /// The next message of a seat with its place; `None` when the seat takes no more.
    pub(super) fn poll_take(&self, name: u64, cx: &mut Context<'_>) -> Poll<Option<(u64, Parked)>> {
        let mut inner = self.lock();
        let closed = inner.closed;
        let Some(seat) = inner.seat(name) else { return Poll::Ready(None) };
        if closed || seat.cancelled {
            return Poll::Ready(None);
        }
        match seat.inbox.pop_first() {
            Some((place, parked)) => {
                seat.in_hand.insert(place, parked);
                Poll::Ready(Some((place, parked)))
            }
            None => {
                seat.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes a message out of a seat's hand: forgotten, or dead. Harmless when the seat no longer has it.
    pub(super) fn settle(&self, name: u64, place: u64, dead: bool) {
        self.change(|inner| {
            if let Some(parked) = inner.seat(name).and_then(|seat| seat.in_hand.remove(&place))
                && dead
            {
                inner.bury(parked.message);
            }
        });
    }

    /// No more messages for this seat; those it did not take go back, those in its hand stay.
    pub(super) fn cancel(&self, name: u64) {
        self.change(|inner| {
            let Some(seat) = inner.seat(name) else { return };
            seat.cancelled = true;
            let untaken = std::mem::take(&mut seat.inbox);
            inner.waiting.extend(untaken);
        });
    }

    /// Removes a seat: all it had goes back, and what it had in hand counts as returned.
    pub(super) fn leave(&self, name: u64) {
        self.change(|inner| {
            let Some(at) = inner.seats.iter().position(|seat| seat.name == name) else { return };
            let seat = inner.seats.remove(at);
            if inner.turn > at {
                inner.turn -= 1;
            }
            inner.waiting.extend(seat.inbox);
            for (place, parked) in seat.in_hand {
                if parked.returns >= DELIVERY_LIMIT {
                    inner.bury(parked.message);
                } else {
                    inner.waiting.insert(place, Parked { returns: parked.returns + 1, ..parked });
                }
            }
        });
    }

    pub(super) fn close(&self) {
        let wakers: Vec<_> = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.seats.iter_mut().filter_map(|seat| seat.waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Messages no consumer has taken.
    pub(super) fn depth(&self) -> u64 {
        let inner = self.lock();
        (inner.waiting.len() + inner.seats.iter().map(|seat| seat.inbox.len()).sum::<usize>()) as u64
    }

    pub(super) fn dead(&self) -> u64 {
        self.lock().dead.len() as u64
    }

    /// Changes the queue, deals out what can be dealt, and wakes whom it concerns.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let (result, wakers) = {
            let mut inner = self.lock();
            let result = change(&mut inner);
            (result, inner.deal())
        };
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, message: Message) -> Result<(), PublishError> {
        if self.closed {
            return Err(PublishError::Unreachable);
        }
        // A message that a consumer has room for need not wait, so it needs no place to wait in.
        if self.waiting.len() >= self.capacity && !self.seats.iter().any(Seat::has_room) {
            return Err(PublishError::Full);
        }
        self.waiting.insert(self.next_place, Parked { message, returns: 0 });
        self.next_place += 1;
        self.deal_one();
        Ok(())
    }

    fn seat(&mut self, name: u64) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.name == name)
    }

    fn bury(&mut self, message: Message) {
        if self.dead.len() == DEAD {
            self.dead.pop_front();
        }
        self.dead.push_back(message);
    }

    /// Gives the oldest message to the next seat in turn that has room.
    fn deal_one(&mut self) -> bool {
        let seats = self.seats.len();
        if self.waiting.is_empty() || seats == 0 {
            return false;
        }
        let Some(at) = (0..seats).map(|step| (self.turn + step) % seats).find(|&at| self.seats[at].has_room()) else { return false };
        if let Some((place, parked)) = self.waiting.pop_first() {
            self.seats[at].inbox.insert(place, parked);
            self.turn = (at + 1) % seats;
        }
        true
    }

    /// Deals until nothing waits or nobody has room; the wakers of those who now have something to take.
    fn deal(&mut self) -> Vec<Waker> {
        if self.closed {
            return Vec::new();
        }
        while self.deal_one() {}
        self.seats.iter_mut().filter(|seat| !seat.inbox.is_empty()).filter_map(|seat| seat.waker.take()).collect()
    }
}
