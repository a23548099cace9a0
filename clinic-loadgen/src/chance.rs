use rand::{SeedableRng, rngs::StdRng};

/// A stream of chances of its own for each number under a seed: the same again for the same two.
pub(crate) fn stream(seed: u64, number: u64) -> StdRng {
    // The golden ratio's bits keep the streams of neighbouring numbers apart.
    StdRng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
