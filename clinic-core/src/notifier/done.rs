//! The message behind notices that are being sent.

use std::sync::{Mutex, PoisonError};

use crate::{crash::crash_point, ports::Delivery};

/// A delivery is acknowledged when the last of its notices is done with.
pub(super) struct Done(Mutex<Option<Delivery>>);

impl Done {
    pub(super) const fn new(delivery: Option<Delivery>) -> Self {
        Self(Mutex::new(delivery))
    }

    /// Keeps a delivery that came again, instead of the one whose channel is gone.
    pub(super) fn keep(&self, delivery: Delivery) {
        let former = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(delivery);
        if let Some(former) = former {
            former.ack();
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(delivery) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            crash_point!("told");
            delivery.ack();
        }
    }
}
