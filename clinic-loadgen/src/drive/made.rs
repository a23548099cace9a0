use uuid::Uuid;

/// So many of the last bookings are remembered.
const ROOM: usize = 10_000;

/// The bookings that a run made last, to be read and cancelled.
#[derive(Debug, Default)]
pub(super) struct Made {
    ids: Vec<Uuid>,
    oldest: usize,
}

impl Made {
    /// Remembers one, in place of the oldest if there are many.
    pub(super) fn add(&mut self, id: Uuid) {
        if self.ids.len() < ROOM {
            self.ids.push(id);
        } else {
            self.oldest %= ROOM;
            self.ids[self.oldest] = id;
            self.oldest += 1;
        }
    }

    /// One of them, by a chance in `[0, 1)`.
    pub(super) fn any(&self, chance: f64) -> Option<Uuid> {
        self.ids.get(self.place(chance)).copied()
    }

    /// One of them, which is forgotten.
    pub(super) fn take(&mut self, chance: f64) -> Option<Uuid> {
        (!self.ids.is_empty()).then(|| self.ids.swap_remove(self.place(chance)))
    }

    fn place(&self, chance: f64) -> usize {
        (chance * self.ids.len() as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_given_again() {
        let mut made = Made::default();
        assert_eq!((made.any(0.5), made.take(0.5)), (None, None));
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        ids.into_iter().for_each(|id| made.add(id));
        assert_eq!((made.any(0.0), made.any(0.99)), (Some(ids[0]), Some(ids[1])));
        assert_eq!(made.take(0.99), Some(ids[1]));
        assert_eq!((made.any(0.99), made.take(0.0), made.take(0.0)), (Some(ids[0]), Some(ids[0]), None));
    }

    #[test]
    fn only_the_last_ones_are_remembered() {
        let mut made = Made::default();
        let ids: Vec<_> = (0..ROOM + 3).map(|_| Uuid::now_v7()).collect();
        ids.iter().for_each(|id| made.add(*id));
        assert_eq!(made.ids.len(), ROOM);
        assert!(ids[..3].iter().all(|id| !made.ids.contains(id)) && made.ids.contains(&ids[ROOM + 2]));
    }
}
