//! How the container is started.

use std::{net::SocketAddr, time::Duration};

use rand::RngExt;
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt, ReuseDirective, TestcontainersError,
    core::{IntoContainerPort, WaitFor, client::ClientError, wait::ExitWaitStrategy},
    runners::AsyncRunner,
};
use thiserror::Error;
use uuid::Uuid;

use super::{
    Rabbit,
    amqp::Amqp,
    lifeline::{Lifeline, Sharing},
};

/// Which image to run; tests/run sets it to a stand-in where no registry is reached.
const IMAGE: &str = "RABBITMQ_IMAGE";
const DEFAULT_IMAGE: &str = "rabbitmq:4-management";
/// Where RabbitMQ keeps everything: a volume in the official image, and here.
const DATA: &str = "/var/lib/rabbitmq";
/// A start may take so long on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(120);
/// Ports that are tried: below those that systems give out, so that one stays free while the broker is down.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Free ports that are tried.
const TRIES: usize = 10;

/// Why there is no RabbitMQ.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RabbitFailed {
    /// No container engine answers.
    #[error("no container engine answers: start one, or run tests/run, which looks for one")]
    Engine(#[source] TestcontainersError),
    /// The image is not here and cannot be pulled.
    #[error("there is no image {image}: run tests/images/make and set {IMAGE} as it says, or run tests/run, which does both")]
    Image {
        /// Its name.
        image: String,
        /// What the engine said.
        #[source]
        source: TestcontainersError,
    },
    /// The container did not start.
    #[error("the container of RabbitMQ did not start")]
    Start(#[source] TestcontainersError),
    /// It started and does not answer.
    #[error("RabbitMQ does not answer within {START_WITHIN:?}")]
    Silent(#[source] lapin::Error),
    /// What keeps the container alive could not be set up.
    #[error("no file or process to keep the container alive with: util-linux and the docker command are needed")]
    Lifeline(#[from] std::io::Error),
}

/// How to get in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    port: u16,
    password: String,
    /// What runs there: a run with another image wants another broker.
    image: String,
}

impl Access {
    fn new() -> Self {
        Self { port: free_port(), password: Uuid::now_v7().simple().to_string(), image: image() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(super) fn url(&self, at: SocketAddr) -> String {
        format!("amqp://clinic:{}@{at}/%2f", self.password)
    }

    /// The container's name, known before there is one.
    fn container(&self) -> String {
        format!("clinic-tests-{}", self.password)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        Some(Self { port: words.next()?.parse().ok()?, password: words.next()?, image: words.next()? })
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.port, self.password, self.image)
    }
}

pub(super) async fn own() -> Result<Rabbit, RabbitFailed> {
    let mut tries = 0;
    loop {
        let access = Access::new();
        // Before the container: whenever this process is killed, somebody is there to remove it.
        let lifeline = Lifeline::own(&access.container())?;
        match start(&access, ReuseDirective::Never).await {
            Ok(container) => {
                answers(&access).await?;
                return Ok(Rabbit { container, access, _lifeline: lifeline });
            }
            Err(RabbitFailed::Start(_)) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

pub(super) async fn shared() -> Result<Rabbit, RabbitFailed> {
    // On a thread of its own: a lock is waited for.
    let sharing = tokio::task::spawn_blocking(Sharing::enter).await.map_err(std::io::Error::other)??;
    let mut tries = 0;
    loop {
        let known = sharing.note().and_then(|note| Access::parse(&note)).filter(|known| tries == 0 && known.image == image());
        let access = known.clone().unwrap_or_else(Access::new);
        sharing.announce(&access.container(), &access.to_string())?;
        match start(&access, ReuseDirective::Always).await {
            Ok(container) => {
                answers(&access).await?;
                return Ok(Rabbit { container, access, _lifeline: sharing.into_lifeline() });
            }
            Err(RabbitFailed::Start(_)) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn start(access: &Access, reuse: ReuseDirective) -> Result<ContainerAsync<GenericImage>, RabbitFailed> {
    let (port, image) = (access.port, access.image.clone());
    let started = WaitFor::message_on_stdout("Server startup complete");
    let request = generic(&image)
        .with_exposed_port(5672.tcp())
        .with_wait_for(started)
        .with_mapped_port(port, 5672.tcp())
        .with_env_var("RABBITMQ_DEFAULT_USER", "clinic")
        .with_env_var("RABBITMQ_DEFAULT_PASS", &access.password)
        .with_container_name(access.container())
        .with_startup_timeout(START_WITHIN)
        .with_host_config_modifier(|host| {
            // Nobody from outside of this host has business here.
            for binding in host.port_bindings.iter_mut().flatten().filter_map(|(_, bindings)| bindings.as_mut()).flatten() {
                binding.host_ip = Some("127.0.0.1".to_owned());
            }
        })
        .with_reuse(reuse);
    request.start().await.map_err(|error| named(error, image))
}

/// Empties the data of a broker that stands still.
pub(super) async fn wipe(of: &str) -> Result<(), RabbitFailed> {
    let (image, of) = (image(), of.to_owned());
    let request: ContainerRequest<GenericImage> = generic(&image)
        .with_entrypoint("sh")
        .with_wait_for(WaitFor::exit(ExitWaitStrategy::new().with_exit_code(0)))
        .with_cmd(["-c".to_owned(), format!("rm -rf {DATA}/mnesia")])
        .with_host_config_modifier(move |host| {
            host.volumes_from = Some(vec![of.clone()]);
            host.publish_all_ports = Some(false);
        });
    request.start().await.map_err(|error| named(error, image))?;
    Ok(())
}

/// Waits until it talks AMQP.
pub(super) async fn answers(access: &Access) -> Result<(), RabbitFailed> {
    let deadline = tokio::time::Instant::now() + START_WITHIN;
    loop {
        match Amqp::connect(&access.url(access.address())).await {
            Ok(_) => return Ok(()),
            Err(error) if tokio::time::Instant::now() > deadline => return Err(RabbitFailed::Silent(error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn image() -> String {
    std::env::var(IMAGE).ok().filter(|image| !image.is_empty()).unwrap_or_else(|| DEFAULT_IMAGE.to_owned())
}

fn generic(image: &str) -> GenericImage {
    // A colon before the last slash belongs to a registry's port.
    match image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => GenericImage::new(name, tag),
        None => GenericImage::new(image, "latest"),
    }
}

fn named(error: TestcontainersError, image: String) -> RabbitFailed {
    match error {
        TestcontainersError::Client(ClientError::PullImage { .. }) => RabbitFailed::Image { image, source: error },
        TestcontainersError::Client(ClientError::Init(_) | ClientError::ListContainers(_) | ClientError::InvalidDockerHost(_)) => {
            RabbitFailed::Engine(error)
        }
        TestcontainersError::Client(ClientError::CreateContainer(ref source)) if is_unreachable(source) => RabbitFailed::Engine(error),
        _ => RabbitFailed::Start(error),
    }
}

fn is_unreachable(error: &testcontainers::bollard::errors::Error) -> bool {
    !matches!(error, testcontainers::bollard::errors::Error::DockerResponseServerError { .. })
}

fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(PORTS);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use testcontainers::Image;

    use super::*;

    #[test]
    fn an_image_is_named_with_and_without_registry_and_tag() {
        for (image, name, tag) in [
            ("rabbitmq:4-management", "rabbitmq", "4-management"),
            ("clinic-test/rabbitmq", "clinic-test/rabbitmq", "latest"),
            ("localhost:5000/rabbitmq", "localhost:5000/rabbitmq", "latest"),
            ("localhost:5000/rabbitmq:4", "localhost:5000/rabbitmq", "4"),
        ] {
            let generic = generic(image);
            assert_eq!((generic.name(), generic.tag()), (name, tag), "{image}");
        }
    }

    #[test]
    fn access_is_read_back() {
        let access = Access::new();
        let read = Access::parse(&access.to_string()).unwrap();
        assert_eq!((read.port, read.password, read.image), (access.port, access.password, access.image));
        assert!(Access::parse("").is_none() && Access::parse("x y").is_none());
    }
}
