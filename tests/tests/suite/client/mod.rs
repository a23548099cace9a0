//! The client against a clinic that is a process of its own, over a network that fails.

mod examples;
mod journal;
mod relay;

use clinic_client::BookRequest;
use clinic_tests::load::draw;

/// A request for a slot and by a patient that no other number has.
fn request(number: usize) -> BookRequest {
    draw("client").arrival(number as u64).request()
}
