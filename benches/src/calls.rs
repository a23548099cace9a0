//! A call by the client against one by bare reqwest: the same request, to the same echo, its answer read to the same type.

use std::{
    io,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use clinic_client::{BookRequest, BookingView, Client};
use serde::Serialize;

use crate::{figure::Figure, lab::Lab};

/// Calls before the first run, which connect and warm up.
const WARMING: u64 = 500;

/// What a call costs, one after the other.
#[derive(Clone, Debug, Serialize)]
pub struct Calls {
    /// By bare reqwest, in microseconds.
    pub bare: Figure,
    /// By the client, in microseconds.
    pub client: Figure,
    /// Of each pair of runs, the client's over reqwest's.
    pub ratio: Figure,
}

/// Measures [`Calls`] in alternating runs of so many calls.
///
/// # Errors
/// When the echo fails.
pub async fn calls(lab: &Lab, runs: usize, calls: u64) -> io::Result<Calls> {
    let stand = lab.echo()?;
    let url = format!("http://{}", stand.server.address);
    // First, so that it installs the provider of cryptography that both want.
    let client = Client::builder(&url).build().map_err(io::Error::other)?;
    let bare = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().map_err(io::Error::other)?;
    let book = format!("{url}/book");
    by_reqwest(&bare, &book, WARMING).await?;
    by_client(&client, WARMING).await?;
    let (mut by_bare, mut by_ours) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        by_bare.push(by_reqwest(&bare, &book, calls).await?);
        by_ours.push(by_client(&client, calls).await?);
    }
    Ok(Calls { bare: Figure::of(&by_bare), client: Figure::of(&by_ours), ratio: Figure::of_ratios(&by_ours, &by_bare) })
}

fn request() -> BookRequest {
    BookRequest::at(Utc::now() + TimeDelta::days(1)).patient("P000000001").doctor("D0001")
}

/// Microseconds a call.
async fn by_reqwest(http: &reqwest::Client, url: &str, calls: u64) -> io::Result<f64> {
    let request = request();
    let begun = Instant::now();
    for _ in 0..calls {
        let answer = http.post(url).json(&request).send().await.and_then(reqwest::Response::error_for_status).map_err(io::Error::other)?;
        let booking: BookingView = answer.json().await.map_err(io::Error::other)?;
        std::hint::black_box(booking);
    }
    Ok(micros(begun, calls))
}

async fn by_client(client: &Client, calls: u64) -> io::Result<f64> {
    let request = request();
    let begun = Instant::now();
    for _ in 0..calls {
        let booking = client.bookings().request(request.clone()).send().await.map_err(io::Error::other)?;
        std::hint::black_box(booking);
    }
    Ok(micros(begun, calls))
}

fn micros(begun: Instant, calls: u64) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / calls as f64
}
