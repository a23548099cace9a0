//! The one door through which chance comes into the use cases.

/// A uniform number in `[0, 1)`.
pub(crate) fn chance() -> f64 {
    rand::random()
}
