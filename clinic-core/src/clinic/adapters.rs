//! From a setting to an adapter, as far as features allow. What nothing was said about has a default here.

use std::sync::Arc;

use super::StartError;
use crate::{
    ports::{Availability, Broker, Channel, Clock, Store},
    settings::Settings,
};

pub(super) async fn open_store(url: &str, clock: &Arc<dyn Clock>, settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return open_postgres(url, settings).await;
    }
    let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) else {
        return Err(StartError::UnknownUrl {
            setting: "CLINIC_STORE",
            url: shown(url),
            expected: "sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        });
    };
    #[cfg(feature = "sqlite")]
    {
        use crate::store::sqlite::{SqliteOptions, SqliteStore};
        let (path, clock) = (std::path::PathBuf::from(path), Arc::clone(clock));
        let options = SqliteOptions::default().with_grace(settings.grace).with_reminders(settings.reminders.clone());
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, clock, options)).await;
        let store = opened.map_err(|panic| StartError::Store(panic.into()))?.map_err(|error| StartError::Store(error.into()))?;
        Ok(Arc::new(store))
    }
    #[cfg(not(feature = "sqlite"))]
    {
        let _ = (path, clock, settings);
        Err(StartError::FeatureOff { url: shown(url), feature: "sqlite" })
    }
}

#[cfg(feature = "postgres")]
async fn open_postgres(url: &str, settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    use crate::store::postgres::{PostgresOptions, PostgresStore};
    let options = PostgresOptions::default().with_grace(settings.grace).with_reminders(settings.reminders.clone());
    Ok(Arc::new(PostgresStore::open(url, options).await.map_err(|error| StartError::Store(error.into()))?))
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(url: &str, _settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    Err(StartError::FeatureOff { url: shown(url), feature: "postgres" })
}

pub(super) fn open_broker(url: &str, prefix: &str, settings: &Settings) -> Result<Arc<dyn Broker>, StartError> {
    if url.starts_with("amqp://") || url.starts_with("amqps://") {
        return open_rabbitmq(url, prefix, settings);
    }
    if url != "embedded" {
        return Err(StartError::UnknownUrl {
            setting: "CLINIC_BROKER",
            url: shown(url),
            expected: "embedded, or amqp://USER:PASSWORD@HOST:PORT",
        });
    }
    #[cfg(feature = "embedded")]
    return Ok(Arc::new(crate::broker::EmbeddedBroker::new(EMBEDDED_CAPACITY)));
    #[cfg(not(feature = "embedded"))]
    return Err(StartError::FeatureOff { url: url.into(), feature: "embedded" });
}

#[cfg(feature = "rabbitmq")]
fn open_rabbitmq(urls: &str, prefix: &str, settings: &Settings) -> Result<Arc<dyn Broker>, StartError> {
    use crate::broker::{RabbitBroker, RabbitOptions};
    let options = RabbitOptions::new(urls).with_prefix(prefix).with_name(&settings.worker);
    Ok(Arc::new(RabbitBroker::new(options).map_err(|error| StartError::Broker(error.into()))?))
}

#[cfg(not(feature = "rabbitmq"))]
fn open_rabbitmq(urls: &str, _prefix: &str, _settings: &Settings) -> Result<Arc<dyn Broker>, StartError> {
    Err(StartError::FeatureOff { url: shown(urls), feature: "rabbitmq" })
}

/// Messages that wait in each queue of the embedded broker; what does not fit is left to the sweep.
#[cfg(feature = "embedded")]
const EMBEDDED_CAPACITY: usize = 100_000;

pub(super) fn default_availability() -> Result<Arc<dyn Availability>, StartError> {
    #[cfg(feature = "simulated")]
    return Ok(Arc::new(crate::availability::Simulated::default()));
    #[cfg(not(feature = "simulated"))]
    return Err(StartError::NoAvailability);
}

pub(super) fn default_channels() -> Result<Vec<Arc<dyn Channel>>, StartError> {
    #[cfg(feature = "log-channel")]
    {
        use crate::channel::{LogChannel, LogFormat};
        Ok(vec![Arc::new(LogChannel::to_stdout(LogFormat::Text).map_err(|error| StartError::Channel(error.into()))?)])
    }
    #[cfg(not(feature = "log-channel"))]
    Err(StartError::NoChannel)
}

/// A URL as an error may show it: its scheme alone, since the rest can hold a password.
fn shown(url: &str) -> String {
    url.split_once(':').map_or_else(|| url.to_owned(), |(scheme, _)| format!("{scheme}:..."))
}
