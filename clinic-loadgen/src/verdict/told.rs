use std::collections::{BTreeSet, HashMap};

use clinic_client::{BookingView, EventKind, TimelineView};
use uuid::Uuid;

use super::{Breach, Kind, booking::decisions};

/// Which decisions were told on which channels. Which ones a clinic tells on is known from those it told others on.
#[derive(Clone, Debug, Default)]
pub struct Told(HashMap<BTreeSet<String>, Vec<(Uuid, EventKind)>>);

impl Told {
    /// Notes what a booking was told.
    pub fn note(&mut self, booking: &BookingView, timeline: &TimelineView) {
        for (_, event) in decisions(timeline) {
            let on = booking.notices.iter().filter(|notice| notice.event == event).map(|notice| notice.channel.clone()).collect();
            self.0.entry(on).or_default().push((booking.id, event));
        }
    }

    /// The decisions that were not told on every channel.
    #[must_use]
    pub fn breaches(&self) -> Vec<Breach> {
        let all: BTreeSet<&str> = self.0.keys().flatten().map(String::as_str).collect();
        let untold = |(on, decisions): (&BTreeSet<String>, &Vec<(Uuid, EventKind)>)| {
            let missing: Vec<&str> = all.iter().copied().filter(|channel| !on.contains(*channel)).collect();
            let on = if all.is_empty() { "any channel".to_owned() } else { missing.join(", ") };
            let of = if missing.is_empty() && !all.is_empty() { &[][..] } else { decisions };
            of.iter().map(|(id, event)| Breach::new(Kind::Untold, [*id], format!("{event}: no notice on {on}"))).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(untold).collect()
    }
}
