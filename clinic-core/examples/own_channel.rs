//! A clinic that tells patients by SMS, through a provider of its own.
//!
//! `cargo run -p clinic-core --features sqlite,embedded --example own_channel`

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use clinic_core::{
    api::{BookRequest, ContactBody},
    clinic::Clinic,
    notification::Notice,
    ports::{Availability, AvailabilityError, Channel, ChannelError, Receipt, Request, Verdict},
    retry::RetryPolicy,
};

/// Stands in for a provider's client; a real one posts to the provider over HTTP.
#[derive(Clone, Default)]
struct SmsProvider {
    sent: Arc<Mutex<Vec<(String, String)>>>,
}

/// What providers answer.
#[derive(Debug, thiserror::Error)]
enum SmsError {
    #[error("too many messages: come again later")]
    Busy,
    #[error("no such number")]
    NoSuchNumber,
}

impl SmsProvider {
    /// `key` lets the provider drop a message that it has already. Every first message is put off, to show what happens then.
    async fn send(&self, key: &str, number: &str, text: &str) -> Result<String, SmsError> {
        if !number.starts_with('+') {
            return Err(SmsError::NoSuchNumber);
        }
        let mut sent = self.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sent.push((key.to_owned(), text.to_owned()));
        if sent.len() == 1 { Err(SmsError::Busy) } else { Ok(format!("sms-{}", sent.len())) }
    }
}

/// Tells notices by SMS.
struct Sms(SmsProvider);

#[async_trait]
impl Channel for Sms {
    fn name(&self) -> &str {
        "sms"
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        let Some(number) = notice.appointment.contact.phone.as_deref() else {
            return Err(ChannelError::Skip { code: "no_phone" });
        };
        match self.0.send(&notice.id.to_string(), number, &notice.text().body).await {
            Ok(reference) => Ok(Receipt::with_reference(&reference)),
            // It may pass: tried again as `retry` says, or as late as the provider asks for.
            Err(error @ SmsError::Busy) => {
                Err(ChannelError::Transient { code: "sms_busy", retry_after: Some(Duration::from_millis(200)), source: error.into() })
            }
            // It will not: the notice goes to the dead-letter desk.
            Err(error @ SmsError::NoSuchNumber) => Err(ChannelError::Permanent { code: "sms_no_such_number", source: error.into() }),
        }
    }

    /// What the contract with the provider allows.
    fn concurrency(&self) -> usize {
        4
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn retry(&self) -> RetryPolicy {
        let mut policy = RetryPolicy::default();
        policy.retries = 5;
        policy.base = Duration::from_millis(200);
        policy.factor = 2.0;
        policy
    }
}

/// Always open.
struct Open;

#[async_trait]
impl Availability for Open {
    async fn check(&self, _: &Request) -> Result<Verdict, AvailabilityError> {
        Ok(Verdict::Available)
    }

    fn reserves(&self) -> bool {
        false
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let provider = SmsProvider::default();
    let clinic = Clinic::builder()
        .store(format!("sqlite:{}", folder.path().join("clinic.db").display()))
        .availability(Open)
        .channel(Sms(provider.clone()))
        .start()
        .await?;
    let tomorrow = Utc::now().date_naive().succ_opt().ok_or("the calendar ends")?;
    let request = BookRequest {
        patient_id: Some("PAC001".into()),
        datetime: Some(format!("{tomorrow}T09:00:00Z")),
        language: Some("en".into()),
        contact: Some(ContactBody { phone: Some("+34 600 000 000".into()), ..ContactBody::default() }),
        ..BookRequest::default()
    };
    let booking = clinic.book(&request).await?;
    clinic.wait_until_decided(booking.id, Duration::from_secs(30)).await?.ok_or("booked, so it is there")?;

    // The first try is put off, the second gets through, under the same id.
    let told = async {
        loop {
            let sent = provider.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            if let [(first, _), (second, text)] = &sent[..] {
                return (first == second).then(|| text.clone());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(30), told).await?.ok_or("one notice has one id")?;
    println!("told at the second try: {text}");
    clinic.shutdown().await?;
    Ok(())
}
