//! Reading for many at once, in batches, so that one who cannot be read holds up no other.

use crate::ports::StoreError;

/// The most that is read at once.
pub(crate) const BATCH: usize = 500;

/// What is still to be read.
#[derive(Debug)]
pub(crate) struct Batches<'a, T>(Vec<&'a [T]>);

impl<'a, T> Batches<'a, T> {
    pub(crate) fn of(all: &'a [T]) -> Self {
        Self(all.chunks(BATCH).rev().collect())
    }

    pub(crate) fn next(&mut self) -> Option<&'a [T]> {
        self.0.pop()
    }

    /// Something in a batch cannot be understood: its halves come next. Any other failure is made good by the next reading of all.
    pub(crate) fn failed(&mut self, batch: &'a [T], error: &StoreError) {
        if matches!(error, StoreError::Corrupt(_)) && batch.len() > 1 {
            let (first, second) = batch.split_at(batch.len() / 2);
            self.0.extend([second, first]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_broken_one_are_read_in_the_end() {
        let all: Vec<usize> = (0..1_200).collect();
        let (mut batches, mut read, mut asked) = (Batches::of(&all), Vec::<usize>::new(), 0);
        while let Some(batch) = batches.next() {
            asked += 1;
            if batch.contains(&777) { batches.failed(batch, &StoreError::Corrupt("broken".into())) } else { read.extend(batch) }
        }
        assert!(read.iter().eq(all.iter().filter(|one| **one != 777)), "in order");
        assert!(asked < 25, "{asked}");
    }

    #[test]
    fn a_store_that_is_away_is_not_asked_more_often_for_it() {
        let all = [1, 2];
        let mut batches = Batches::of(&all);
        let batch = batches.next().unwrap();
        batches.failed(batch, &StoreError::TooSlow);
        assert_eq!(batches.next(), None);
    }
}
