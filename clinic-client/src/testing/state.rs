use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use clinic_core::{api::BookingView, decision::Decision, id::BookingId};
use tokio::sync::watch;

use super::{Call, fault::Fault, ward::Ward};

/// Says what becomes of a new booking; nothing yet when it says nothing.
pub(super) type Decide = Box<dyn Fn(&BookingView) -> Option<Decision> + Send + Sync>;

/// What connections share.
pub(super) struct State {
    ward: Mutex<Ward>,
    changes: watch::Sender<u64>,
    decide: Decide,
    /// The keys that open it; everybody may call when there is none.
    pub(super) tokens: Vec<String>,
    faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<Vec<Call>>,
}

impl State {
    pub(super) fn new(tokens: Vec<String>, decide: Decide) -> Self {
        let (ward, faults, calls) = Default::default();
        Self { ward, changes: watch::Sender::new(0), decide, tokens, faults, calls }
    }

    pub(super) fn ward(&self) -> MutexGuard<'_, Ward> {
        lock(&self.ward)
    }

    /// Wakes with every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes what is kept, and tells those who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Ward) -> T) -> T {
        let changed = change(&mut self.ward());
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    /// Decides a new booking, if it is to be decided at once.
    pub(super) fn decide_new(&self, ward: &mut Ward, id: BookingId) {
        let decision = ward.find(id).and_then(|kept| (self.decide)(&BookingView::new(&kept.booking, &[])));
        if let Some(decision) = decision {
            ward.decide(id, decision);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.faults).extend(faults);
    }

    pub(super) fn next_fault(&self) -> Fault {
        lock(&self.faults).pop_front().unwrap_or(Fault::None)
    }

    pub(super) fn note(&self, call: Call) {
        lock(&self.calls).push(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
