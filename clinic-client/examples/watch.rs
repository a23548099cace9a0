//! Follows a booking live until there is nothing more to come.
//!
//! `cargo run -p clinic-client --example watch -- ID`

use clinic_client::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1).ok_or("give the id of a booking")?.parse()?;
    let mut events = Client::from_env()?.bookings().events(id);
    while let Some(event) = events.try_next().await? {
        println!("{} {} {} {}", event.seq, event.at, event.kind, event.code.unwrap_or_default());
    }
    Ok(())
}
