//! Figures: medians and their spread.

use serde::Serialize;

/// Several runs' figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Figure {
    /// The figure of some runs; zeros when there were none.
    #[must_use]
    pub fn of(runs: &[f64]) -> Self {
        let least = runs.iter().copied().min_by(f64::total_cmp).unwrap_or_default();
        let most = runs.iter().copied().max_by(f64::total_cmp).unwrap_or_default();
        Self { median: median(runs.iter().copied()), least, most }
    }

    /// The figure of what each run is of its pair on the other side.
    #[must_use]
    pub fn of_ratios(runs: &[f64], others: &[f64]) -> Self {
        Self::of(&runs.iter().zip(others).map(|(run, other)| run / other).collect::<Vec<_>>())
    }
}

/// The middle value, or the mean of the two in the middle; zero when there is none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (count, middle) if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(Figure::of(&[2.0, 9.0, 4.0]), Figure { median: 4.0, least: 2.0, most: 9.0 });
        assert_eq!(Figure::of(&[]).median, 0.0);
        assert_eq!(Figure::of_ratios(&[2.0, 9.0, 4.0], &[1.0, 3.0, 1.0]), Figure { median: 3.0, least: 2.0, most: 4.0 });
    }
}
