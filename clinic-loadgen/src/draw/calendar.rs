/// Rounds of the network: four make it a good permutation (M. Luby, C. Rackoff, "How to Construct Pseudorandom Permutations", 1988).
const ROUNDS: u64 = 4;

/// The slots of all doctors, in an order of the seed's own: request number `n` gets the `n`-th, so that none is asked for twice before
/// every one was asked for once.
///
/// The order is that of a Feistel network over the next larger power of four. What falls outside of the calendar goes through it again
/// until it falls inside: cycle walking, as in J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains" (2002).
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    seed: u64,
    doctors: u32,
    slots: u32,
    /// Bits of each half.
    half: u32,
}

impl Calendar {
    /// Of so many doctors with so many slots each, one at least.
    pub(super) fn new(seed: u64, doctors: u32, slots: u32) -> Self {
        let (doctors, slots) = (doctors.max(1), slots.max(1));
        let bits = (u64::from(doctors) * u64::from(slots)).next_power_of_two().trailing_zeros();
        Self { seed, doctors, slots, half: bits.div_ceil(2).max(1) }
    }

    /// Slots of each doctor.
    pub(super) const fn slots(&self) -> u32 {
        self.slots
    }

    /// The doctor and the slot of a request.
    pub(super) fn slot(&self, index: u64) -> (u32, u32) {
        let (slots, all) = (u64::from(self.slots), u64::from(self.doctors) * u64::from(self.slots));
        let mut place = self.network(index % all);
        while place >= all {
            place = self.network(place);
        }
        let within = |number: u64| u32::try_from(number).expect("both are below numbers of 32 bits");
        (within(place / slots), within(place % slots))
    }

    fn network(&self, place: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (left, right) = (0..ROUNDS).fold((place >> self.half, place & mask), |(left, right), round| {
            (right, left ^ (mix(right ^ mix(self.seed ^ mix(round))) & mask))
        });
        left << self.half | right
    }
}

/// Each bit in changes about half of those that come out: the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable
/// Pseudorandom Number Generators", 2014).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_slot_comes_once_whatever_their_number() {
        for (doctors, slots) in [(1, 1), (1, 2), (3, 1), (4, 4), (5, 13), (31, 33), (1000, 17)] {
            let calendar = Calendar::new(9, doctors, slots);
            let drawn: HashSet<_> = (0..u64::from(doctors * slots)).map(|index| calendar.slot(index)).collect();
            assert_eq!(drawn.len(), (doctors * slots) as usize, "{doctors} doctors, {slots} slots");
            assert!(drawn.iter().all(|(doctor, slot)| *doctor < doctors && *slot < slots));
        }
    }

    #[test]
    fn the_largest_calendar_has_room_for_its_places() {
        let calendar = Calendar::new(u64::MAX, 99_999, 17_000);
        for (doctor, slot) in (0..10_000).chain(u64::MAX - 10_000..u64::MAX).map(|index| calendar.slot(index)) {
            assert!(doctor < 99_999 && slot < 17_000);
        }
    }

    #[test]
    fn the_first_requests_are_spread_over_doctors_and_days() {
        let calendar = Calendar::new(3, 100, 100);
        let (mut doctors, mut slots) = ([0; 100], [0; 100]);
        for (doctor, slot) in (0..2_000).map(|index| calendar.slot(index)) {
            doctors[doctor as usize] += 1;
            slots[slot as usize] += 1;
        }
        // 20 each in the mean, and a deviation of four or five.
        for count in doctors.into_iter().chain(slots) {
            assert!((3..=40).contains(&count), "{doctors:?} {slots:?}");
        }
    }

    #[test]
    fn another_seed_has_another_order() {
        let first = |seed| (0..20).map(|index| Calendar::new(seed, 100, 100).slot(index)).collect::<Vec<_>>();
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
