//! The clinic in one process.

fn main() {}
