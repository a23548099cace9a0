//! Assembling a clinic: URLs become adapters, adapters become a running whole.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use metrics::counter;
use thiserror::Error;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Clinic, Roles,
    adapters::{default_availability, default_channels, open_broker, open_store},
};
use crate::{
    notifier::{self, Notifier, Outlets},
    ports::{Availability, Broker, Channel, Clock, Poster, Source, Store, SystemClock},
    reception::Reception,
    relay,
    retry::{RetryPolicy, RetryPolicyError},
    settings::{Settings, SettingsError},
    sweep,
    waiters::{self, Waiters},
    webhook,
    worker::{self, Worker},
};

/// The pause before a part that panicked is begun anew.
const REST_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Where bookings are kept: a URL, or a store of your own.
#[non_exhaustive]
pub enum StoreSource {
    /// `sqlite:PATH`, or `postgres://...`.
    Url(String),
    /// An adapter.
    Ready(Arc<dyn Store>),
}

impl From<&str> for StoreSource {
    fn from(url: &str) -> Self {
        Self::Url(url.into())
    }
}

impl From<String> for StoreSource {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl From<Arc<dyn Store>> for StoreSource {
    fn from(store: Arc<dyn Store>) -> Self {
        Self::Ready(store)
    }
}

/// What carries the news: a URL, or a broker of your own.
#[non_exhaustive]
pub enum BrokerSource {
    /// `embedded`, or `amqp://...`.
    Url(String),
    /// An adapter.
    Ready(Arc<dyn Broker>),
}

impl From<&str> for BrokerSource {
    fn from(url: &str) -> Self {
        Self::Url(url.into())
    }
}

impl From<String> for BrokerSource {
    fn from(url: String) -> Self {
        Self::Url(url)
    }
}

impl From<Arc<dyn Broker>> for BrokerSource {
    fn from(broker: Arc<dyn Broker>) -> Self {
        Self::Ready(broker)
    }
}

/// Why a clinic does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be opened.
    #[error("the store does not open")]
    Store(#[source] Source),
    /// The broker's address or prefix cannot be understood.
    #[error("the broker cannot be used")]
    Broker(#[source] Source),
    /// The URL's scheme is known, but this build leaves its adapter out.
    #[error("{url} needs the feature `{feature}` of clinic-core, which this build leaves out")]
    FeatureOff {
        /// The URL, without what may be secret.
        url: String,
        /// The feature to turn on.
        feature: &'static str,
    },
    /// The URL names no adapter.
    #[error("{setting} does not know {url}: use {expected}")]
    UnknownUrl {
        /// The setting.
        setting: &'static str,
        /// The URL, without what may be secret.
        url: String,
        /// What it may be.
        expected: &'static str,
    },
    /// No availability was given, and the simulation is not built in.
    #[error("nobody can say whether a visit can take place: give the builder an availability")]
    NoAvailability,
    /// No channel was given, and the log channel is not built in.
    #[error("patients cannot be told: give the builder a channel")]
    NoChannel,
    /// Two channels have one name, so that the ledger could not tell them apart.
    #[error("two channels are named {name}: give each a name of its own")]
    ChannelTwice {
        /// The name.
        name: String,
    },
    /// A channel has the name that webhooks have.
    #[error("a channel is named {name}, as webhooks are: give it a name of its own")]
    ChannelName {
        /// The name.
        name: String,
    },
    /// A channel's retry policy is none.
    #[error("the retry policy of the channel {name} is none: make it with RetryPolicy::new")]
    ChannelRetry {
        /// The channel.
        name: String,
        /// What is wrong with it.
        #[source]
        source: RetryPolicyError,
    },
    /// The log channel's thread does not start.
    #[error("the log channel does not start")]
    Channel(#[source] Source),
}

/// The two sides of webhooks: what a notifier sends by, and what endpoints are registered and tried out by.
struct Webhooks {
    channel: Arc<dyn Channel>,
    poster: Arc<dyn Poster>,
}

/// What a clinic is made of. Everything has a default except, without the feature `simulated`, the availability.
pub struct Builder {
    store: StoreSource,
    broker: BrokerSource,
    prefix: String,
    availability: Option<Arc<dyn Availability>>,
    channels: Vec<Arc<dyn Channel>>,
    webhooks: Option<Webhooks>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    roles: Roles,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            store: "sqlite:clinic.db".into(),
            broker: "embedded".into(),
            prefix: String::new(),
            availability: None,
            channels: Vec::new(),
            webhooks: None,
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
            roles: Roles::ALL,
        }
    }
}

impl Builder {
    /// Where bookings are kept: `sqlite:PATH`; PostgreSQL at `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; or an `Arc<dyn Store>`.
    #[must_use]
    pub fn store(mut self, store: impl Into<StoreSource>) -> Self {
        self.store = store.into();
        self
    }

    /// What carries the news: `embedded`; RabbitMQ at `amqp://USER:PASSWORD@HOST:PORT/VHOST` or `amqps://`, the nodes of a cluster
    /// separated by commas; or an `Arc<dyn Broker>`.
    #[must_use]
    pub fn broker(mut self, broker: impl Into<BrokerSource>) -> Self {
        self.broker = broker.into();
        self
    }

    /// What is put before the name of every exchange and queue of RabbitMQ; nothing when nothing is said.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Who knows whether a visit can take place.
    #[must_use]
    pub fn availability(self, availability: impl Availability) -> Self {
        self.availability_arc(Arc::new(availability))
    }

    /// Who knows whether a visit can take place, shared.
    #[must_use]
    pub fn availability_arc(mut self, availability: Arc<dyn Availability>) -> Self {
        self.availability = Some(availability);
        self
    }

    /// One more way to tell patients. Without any, notices are logged.
    #[must_use]
    pub fn channel(self, channel: impl Channel) -> Self {
        self.channel_arc(Arc::new(channel))
    }

    /// One more way to tell patients, shared.
    #[must_use]
    pub fn channel_arc(mut self, channel: Arc<dyn Channel>) -> Self {
        self.channels.push(channel);
        self
    }

    /// Tells every event to the endpoints that are registered as well; give it to the processes that register them, too.
    #[must_use]
    pub fn webhooks(mut self, webhooks: impl Channel + Poster) -> Self {
        let webhooks = Arc::new(webhooks);
        self.webhooks = Some(Webhooks { channel: Arc::clone(&webhooks) as _, poster: webhooks });
        self
    }

    /// The clock; the machine's when nothing is said.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// All numbers at once, the retry policy among them: call it before [`retry`](Self::retry).
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// When failed attempts are made again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.settings.retry = retry;
        self
    }

    /// What this process does; everything when nothing is said. Only a worker needs an availability, only a notifier channels:
    /// what the roles have no use for is not looked at.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// Opens the store and starts every part that the roles call for.
    ///
    /// # Errors
    /// [`StartError`] names what is wrong and the fix.
    pub async fn start(self) -> Result<Clinic, StartError> {
        self.settings.check()?;
        let settings = Arc::new(self.settings);
        let availability =
            if self.roles.contains(Roles::WORKER) { Some(self.availability.map_or_else(default_availability, Ok)?) } else { None };
        let (webhooks, poster) = self.webhooks.map(|webhooks| (webhooks.channel, webhooks.poster)).unzip();
        let outlets = if self.roles.contains(Roles::NOTIFIER) { Some(outlets(self.channels, webhooks)?) } else { None };
        // One that was given may serve others too; what is opened here is closed by us.
        let (broker, opened) = match self.broker {
            BrokerSource::Ready(broker) => (broker, None),
            BrokerSource::Url(url) => {
                let broker = open_broker(&url, &self.prefix, &settings)?;
                (Arc::clone(&broker), Some(broker))
            }
        };
        let store = match self.store {
            StoreSource::Ready(store) => store,
            StoreSource::Url(url) => open_store(&url, &self.clock, &settings).await?,
        };

        let (relay, relay_run) = relay::relay();
        let waiters = Arc::new(Waiters::default());
        let (intake, carriers) = (CancellationToken::new(), CancellationToken::new());
        let mut consumers = vec![keep_running("sweep", &intake, {
            let (store, relay, period) = (Arc::clone(&store), relay.clone(), settings.sweep);
            move |shutdown| sweep::run(Arc::clone(&store), relay.clone(), period, shutdown)
        })];
        if let Some(availability) = availability {
            let worker = Worker {
                store: Arc::clone(&store),
                broker: Arc::clone(&broker),
                availability,
                clock: Arc::clone(&self.clock),
                relay: relay.clone(),
                settings: Arc::clone(&settings),
            };
            consumers.push(keep_running("worker", &intake, move |shutdown| worker::run(worker.clone(), shutdown)));
        }
        if let Some(outlets) = outlets {
            let notifier = Notifier {
                store: Arc::clone(&store),
                broker: Arc::clone(&broker),
                outlets: Arc::new(outlets),
                settings: Arc::clone(&settings),
            };
            consumers.push(keep_running("notifier", &intake, move |shutdown| notifier::run(notifier.clone(), shutdown)));
        }
        let news = self.roles.contains(Roles::API).then(|| Arc::clone(&broker));
        Ok(Clinic {
            consumers,
            carriers: vec![
                tokio::spawn(relay::run(relay_run, Arc::clone(&store), Arc::clone(&broker), carriers.clone())),
                tokio::spawn(waiters::run(Arc::clone(&waiters), Arc::clone(&store), news, carriers.clone())),
            ],
            reception: Reception::new(Arc::clone(&store), broker, self.clock, relay, waiters, settings).with_webhooks(poster),
            store,
            broker: opened,
            intake,
            relay: carriers,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("roles", &self.roles).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Runs a part until shutdown; one that panics is begun anew. What it held comes back by its leases' end.
fn keep_running<F, R>(part: &'static str, shutdown: &CancellationToken, run: F) -> JoinHandle<()>
where
    F: Fn(CancellationToken) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        while AssertUnwindSafe(run(shutdown.clone())).catch_unwind().await.is_err() && !shutdown.is_cancelled() {
            counter!("clinic_part_panics_total", "part" => part).increment(1);
            tracing::error!(part, "a part of the clinic panicked and is begun anew; its work is safe in the store");
            sleep(REST_AFTER_PANIC).await;
        }
    })
}

/// The channels as the notifier uses them, once they fit together.
fn outlets(own: Vec<Arc<dyn Channel>>, webhooks: Option<Arc<dyn Channel>>) -> Result<Outlets, StartError> {
    let is_webhooks = |name: &str| name.split(':').next() == Some(webhook::CHANNEL);
    if let Some(channel) = own.iter().find(|channel| is_webhooks(channel.name())) {
        return Err(StartError::ChannelName { name: channel.name().to_owned() });
    }
    let mut channels = if own.is_empty() && webhooks.is_none() { default_channels()? } else { own };
    channels.extend(webhooks);
    for (place, channel) in channels.iter().enumerate() {
        if channels[..place].iter().any(|other| other.name() == channel.name()) {
            return Err(StartError::ChannelTwice { name: channel.name().to_owned() });
        }
        if let Err(source) = channel.retry().check() {
            return Err(StartError::ChannelRetry { name: channel.name().to_owned(), source });
        }
    }
    Ok(Outlets::new(channels))
}
