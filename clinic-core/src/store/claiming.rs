use std::{borrow::Cow, collections::HashMap};

use super::millis::Millis;
use crate::{id::EndpointId, ports::NoticeClaimant, webhook};

/// Ledger rows that one claim makes, about: with many endpoints a few events are thousands, and everybody else waits for the writer.
pub(super) const MOST_ROWS: usize = 1_024;

/// A claim under way: how many notices of each channel the claimant can still take, and which endpoints there are.
pub(super) struct Claiming<'a> {
    pub(super) claimant: &'a NoticeClaimant,
    /// The endpoints that are switched on, with the time of their registration, once they were read.
    pub(super) endpoints: Option<Vec<(EndpointId, Millis)>>,
    rooms: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Claiming<'a> {
    pub(super) fn new(claimant: &'a NoticeClaimant) -> Self {
        let rooms = claimant.rooms.iter().map(|(channel, room)| (channel.as_str().into(), *room)).collect();
        Self { claimant, endpoints: None, rooms }
    }

    /// An endpoint without an entry has the room of all such.
    pub(super) fn left(&self, channel: &str) -> usize {
        let own = self.rooms.get(channel);
        own.or_else(|| self.rooms.get(webhook::split(channel).0)).copied().unwrap_or_default()
    }

    pub(super) fn take(&mut self, channel: &str) -> bool {
        let left = self.left(channel);
        if left > 0 {
            match self.rooms.get_mut(channel) {
                Some(room) => *room = left - 1,
                None => drop(self.rooms.insert(channel.to_owned().into(), left - 1)),
            }
        }
        left > 0
    }
}
