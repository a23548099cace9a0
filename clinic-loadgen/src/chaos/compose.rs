//! Services of a Compose project as targets, through the engine's command line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rustix::process::Signal;
use serde::Deserialize;
use tokio::{sync::Mutex, time::sleep};

use super::{
    command_line::call,
    fault::Kind,
    signal::Handle,
    target::{Target, TargetError, Targets},
};

/// How long a killed container has to come back by itself.
const COMES_BACK: Duration = Duration::from_secs(10);
/// How long one that is started may take to run.
const STARTS: Duration = Duration::from_secs(60);
/// The pause between two looks at a container.
const LOOK: Duration = Duration::from_millis(100);

/// The project of a Compose file: the one that its containers run in.
///
/// # Errors
/// [`TargetError`] when neither `docker compose` nor `docker-compose` is there, or nothing of the file runs.
pub async fn project_of(file: &Path) -> Result<String, TargetError> {
    let file = file.to_string_lossy();
    let listed = if call("docker", &["compose", "version"]).await.is_ok() {
        call("docker", &["compose", "-f", &file, "ps", "-a", "-q"]).await?
    } else {
        call("docker-compose", &["-f", &file, "ps", "-q"]).await?
    };
    let container = listed.lines().next().ok_or_else(|| TargetError::Gone(format!("no container of {file} is there: start it first")))?;
    let format = "{{index .Config.Labels \"com.docker.compose.project\"}}";
    Ok(call("docker", &["inspect", "-f", format, container]).await?.trim().to_owned())
}

/// Adds every service of a project.
///
/// # Errors
/// [`TargetError`] when there is none.
pub async fn add_services(project: &str, targets: &mut Targets) -> Result<(), TargetError> {
    let label = format!("label=com.docker.compose.project={project}");
    let names = call("docker", &["ps", "-a", "--filter", &label, "--format", "{{.Label \"com.docker.compose.service\"}}"]).await?;
    let names: BTreeSet<&str> = names.lines().filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(TargetError::Gone(format!("no container of the project {project} is there: start it first")));
    }
    for name in names {
        targets.add(name, Arc::new(Service { project: project.to_owned(), name: name.to_owned(), undone: Mutex::default() }));
    }
    Ok(())
}

/// A service: one container or more. Faults are done to one of them.
#[derive(Debug)]
pub struct Service {
    project: String,
    name: String,
    /// What is to be undone, by container.
    undone: Mutex<BTreeMap<String, Vec<Undo>>>,
}

/// What makes a container whole again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Undo {
    Unpause,
    Connect {
        network: String,
        aliases: Vec<String>,
    },
    /// It runs again, and not since before.
    Run {
        was_started: String,
        comes_back: bool,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    state: State,
    host_config: HostConfig,
    config: Config,
    network_settings: NetworkSettings,
    #[serde(default)]
    mounts: Vec<Volume>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    running: bool,
    paused: bool,
    pid: u32,
    started_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    restart_policy: RestartPolicy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: BTreeMap<String, Network>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    aliases: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    name: String,
    destination: String,
}

impl Container {
    async fn look(name: &str) -> Result<Self, TargetError> {
        let text = call("docker", &["inspect", "--type", "container", name]).await?;
        let strange = |said: String| TargetError::Call { call: format!("docker inspect {name}"), said };
        let containers: Vec<Self> = serde_json::from_str(&text).map_err(|error| strange(error.to_string()))?;
        containers.into_iter().next().ok_or_else(|| strange("there is no container".into()))
    }

    const fn is_up(&self) -> bool {
        self.state.running && !self.state.paused
    }

    fn will_run_again(&self) -> Undo {
        let comes_back = matches!(self.host_config.restart_policy.name.as_str(), "always" | "unless-stopped" | "on-failure");
        Undo::Run { was_started: self.state.started_at.clone(), comes_back }
    }

    /// From outside, where that can be: the engine takes a container that it killed itself for one stopped on purpose, and its restart
    /// policy would not be seen at work.
    async fn kill(&self, name: &str) -> Result<(), TargetError> {
        if !self.kill_from_outside() {
            call("docker", &["kill", name]).await?;
        }
        Ok(())
    }

    /// Only a process of this machine that its control group says to be the container's: the engine may be elsewhere.
    fn kill_from_outside(&self) -> bool {
        let Ok(handle) = Handle::open(self.state.pid) else { return false };
        let group = fs::read_to_string(format!("/proc/{}/cgroup", self.state.pid)).unwrap_or_default();
        group.contains(&self.id) && handle.send(Signal::KILL).is_ok()
    }
}

impl Service {
    fn unfit(&self, kind: Kind, why: &str) -> TargetError {
        TargetError::Unfit { target: self.name.clone(), kind, why: why.to_owned() }
    }

    /// The names of its containers, by their numbers.
    async fn containers(&self) -> Result<Vec<String>, TargetError> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={}", self.name);
        let format = "{{.Label \"com.docker.compose.container-number\"}} {{.Names}}";
        let oneoff = "label=com.docker.compose.oneoff=False";
        let listed =
            call("docker", &["ps", "-a", "--filter", &project, "--filter", &service, "--filter", oneoff, "--format", format]).await?;
        let mut named: Vec<(u32, &str)> =
            listed.lines().filter_map(|line| line.split_once(' ')).map(|(number, name)| (number.parse().unwrap_or(0), name)).collect();
        named.sort_unstable();
        // A container that others link to has further names, with a slash.
        let own = |names: &str| names.split(',').find(|name| !name.contains('/')).unwrap_or(names).to_owned();
        Ok(named.into_iter().map(|(_, names)| own(names)).collect())
    }

    /// The volumes of one of its containers, which no other service has.
    async fn volumes_of_its_own<'a>(&self, container: &'a Container) -> Result<Vec<&'a Volume>, TargetError> {
        let volumes: Vec<&Volume> = container.mounts.iter().filter(|mount| mount.kind == "volume").collect();
        if volumes.is_empty() {
            return Err(self.unfit(Kind::Wipe, "it keeps nothing in a volume"));
        }
        for volume in &volumes {
            let of = format!("volume={}", volume.name);
            let users = call(
                "docker",
                &[
                    "ps",
                    "-a",
                    "--filter",
                    &of,
                    "--format",
                    "{{.Label \"com.docker.compose.project\"}} {{.Label \"com.docker.compose.service\"}}",
                ],
            )
            .await?;
            let own = format!("{} {}", self.project, self.name);
            if let Some(other) = users.lines().find(|user| user.trim() != own) {
                return Err(self.unfit(Kind::Wipe, &format!("its volume {} is used by {} as well", volume.name, other.trim())));
            }
        }
        Ok(volumes)
    }

    async fn is_to_undo(&self, name: &str, undo: Undo) {
        self.undone.lock().await.entry(name.to_owned()).or_default().push(undo);
    }

    async fn strike(&self, kind: Kind, name: &str, container: &Container) -> Result<(), TargetError> {
        match kind {
            Kind::Kill => {
                self.is_to_undo(name, container.will_run_again()).await;
                container.kill(name).await
            }
            Kind::Restart => {
                self.is_to_undo(name, container.will_run_again()).await;
                call("docker", &["restart", name]).await.map(drop)
            }
            Kind::Pause => {
                self.is_to_undo(name, Undo::Unpause).await;
                call("docker", &["pause", name]).await.map(drop)
            }
            Kind::Cut => {
                for (network, settings) in &container.network_settings.networks {
                    let aliases = settings.aliases.clone().unwrap_or_default();
                    self.is_to_undo(name, Undo::Connect { network: network.clone(), aliases }).await;
                    call("docker", &["network", "disconnect", network, name]).await?;
                }
                Ok(())
            }
            Kind::Wipe => {
                let volumes = self.volumes_of_its_own(container).await?;
                // Killed by the engine, so that it stays down.
                let Undo::Run { was_started, .. } = container.will_run_again() else { return Ok(()) };
                self.is_to_undo(name, Undo::Run { was_started, comes_back: false }).await;
                call("docker", &["kill", name]).await?;
                let script = "for folder; do find \"$folder\" -mindepth 1 -delete || exit; done";
                let head = [
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--user",
                    "0",
                    "--volumes-from",
                    name,
                    "--entrypoint",
                    "sh",
                    &container.config.image,
                ];
                let folders = volumes.iter().map(|volume| volume.destination.as_str());
                let arguments: Vec<&str> = head.into_iter().chain(["-c", script, "sh"]).chain(folders).collect();
                call("docker", &arguments).await.map(drop)
            }
        }
    }

    async fn mend(&self, name: &str) -> Result<(), TargetError> {
        let mut undone = self.undone.lock().await;
        let Some(undos) = undone.get_mut(name) else { return Ok(()) };
        while let Some(undo) = undos.last() {
            undo.undo(name).await?;
            undos.pop();
        }
        undone.remove(name);
        Ok(())
    }
}

impl Undo {
    async fn undo(&self, name: &str) -> Result<(), TargetError> {
        match self {
            Self::Unpause if Container::look(name).await?.state.paused => call("docker", &["unpause", name]).await.map(drop),
            Self::Unpause => Ok(()),
            Self::Connect { network, .. } if Container::look(name).await?.network_settings.networks.contains_key(network) => Ok(()),
            Self::Connect { network, aliases } => {
                let aliases = aliases.iter().flat_map(|alias| ["--alias", alias.as_str()]);
                let arguments: Vec<&str> = ["network", "connect"].into_iter().chain(aliases).chain([network.as_str(), name]).collect();
                call("docker", &arguments).await.map(drop)
            }
            Self::Run { was_started, comes_back } => {
                let patience = if *comes_back { COMES_BACK } else { Duration::ZERO };
                if !runs_anew(name, was_started, patience).await? {
                    call("docker", &["start", name]).await?;
                    if !runs_anew(name, was_started, STARTS).await? {
                        return Err(TargetError::Down(name.to_owned()));
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whether a container runs within a time, and was started since.
async fn runs_anew(name: &str, was_started: &str, within: Duration) -> Result<bool, TargetError> {
    let deadline = Instant::now() + within;
    loop {
        let container = Container::look(name).await?;
        if container.is_up() && container.state.started_at != was_started {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
}

#[async_trait]
impl Target for Service {
    async fn takes(&self, kind: Kind) -> Result<(), TargetError> {
        for name in self.containers().await? {
            let container = Container::look(&name).await?;
            if !container.is_up() {
                return Err(TargetError::Gone(format!("{name} is {}", container.state.status)));
            }
            match kind {
                Kind::Cut if container.network_settings.networks.contains_key("host") => {
                    return Err(self.unfit(kind, "it is on the host's network"));
                }
                Kind::Wipe => drop(self.volumes_of_its_own(&container).await?),
                Kind::Cut | Kind::Kill | Kind::Restart | Kind::Pause => {}
            }
        }
        Ok(())
    }

    async fn begin(&self, kind: Kind, pick: u32) -> Result<String, TargetError> {
        let mut names = self.containers().await?;
        if names.is_empty() {
            return Err(TargetError::Gone(format!("{} has no container", self.name)));
        }
        let place = pick as usize % names.len();
        let name = names.swap_remove(place);
        let container = Container::look(&name).await?;
        if !container.is_up() {
            return Err(TargetError::Gone(format!("{name} is {}", container.state.status)));
        }
        self.strike(kind, &name, &container).await?;
        Ok(name)
    }

    async fn end(&self, _: Kind, instance: &str) -> Result<(), TargetError> {
        self.mend(instance).await
    }

    async fn whole(&self) -> Result<(), TargetError> {
        let names: Vec<String> = self.undone.lock().await.keys().cloned().collect();
        let mut outcome = Ok(());
        for name in names {
            outcome = self.mend(&name).await.and(outcome);
        }
        outcome
    }
}
