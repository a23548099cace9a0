//! What can befall a broker.

use testcontainers::{
    TestcontainersError,
    bollard::{Docker, query_parameters::KillContainerOptionsBuilder},
    core::ExecCommand,
};

use super::{Rabbit, container, give_up};

impl Rabbit {
    /// Runs a command inside and gives what it wrote.
    ///
    /// # Panics
    /// When it cannot be run or fails.
    pub async fn exec(&self, command: &[&str]) -> String {
        let ran = async {
            let mut running = self.container.exec(ExecCommand::new(command.iter().copied())).await?;
            let (stdout, stderr) = (running.stdout_to_vec().await?, running.stderr_to_vec().await?);
            Ok::<_, TestcontainersError>((running.exit_code().await?, stdout, stderr))
        };
        let (code, stdout, stderr) = ran.await.unwrap_or_else(|error| panic!("{command:?} cannot be run in the container: {error}"));
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(code, Some(0), "{command:?} failed: {stdout}{stderr}");
        stdout.into_owned()
    }

    /// Runs `rabbitmqctl`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        self.exec(&[&["rabbitmqctl", "--silent"], arguments].concat()).await
    }

    /// Ends it as `kill -9` does and returns when it is gone.
    ///
    /// # Panics
    /// When the engine does not do it.
    pub async fn kill9(&self) {
        let docker = Docker::connect_with_defaults().unwrap_or_else(|error| panic!("the engine cannot be reached: {error}"));
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        docker.kill_container(self.container.id(), Some(options)).await.unwrap_or_else(|error| panic!("it cannot be killed: {error}"));
        crate::eventually::eventually("the broker's end", std::time::Duration::from_secs(20), || async {
            matches!(self.container.is_running().await, Ok(false)).then_some(())
        })
        .await;
    }

    /// Starts it after a kill, on the same port, and returns without waiting for it.
    ///
    /// # Panics
    /// When the engine does not do it.
    pub async fn begin_start(&self) {
        self.container.start().await.unwrap_or_else(|error| panic!("it cannot be started: {error}"));
    }

    /// Waits until it accepts connections and talks.
    ///
    /// # Panics
    /// When it does not.
    pub async fn answers(&self) {
        container::answers(&self.access).await.unwrap_or_else(|error| give_up(&error));
    }

    /// Starts it after a kill and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(&self) {
        self.begin_start().await;
        self.answers().await;
    }

    /// Kills it, removes all that it has stored, and starts it: a disk was lost.
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn wipe(&self) {
        self.kill9().await;
        container::wipe(self.container.id()).await.unwrap_or_else(|error| give_up(&error));
        self.start().await;
    }

    /// Raises its memory alarm, which blocks whoever publishes, or ends it.
    ///
    /// # Panics
    /// When it does not do it.
    pub async fn memory_alarm(&self, on: bool) {
        self.ctl(&["set_vm_memory_high_watermark", if on { "0.00001" } else { "0.6" }]).await;
    }

    /// What it has written to its log so far.
    ///
    /// # Panics
    /// When the engine does not give it.
    pub async fn log(&self) -> String {
        let written =
            async { Ok::<_, TestcontainersError>([self.container.stdout_to_vec().await?, self.container.stderr_to_vec().await?].concat()) };
        let written = written.await.unwrap_or_else(|error| panic!("its log cannot be read: {error}"));
        String::from_utf8_lossy(&written).into_owned()
    }

    /// Every queue and the messages in it, ready and unacknowledged. Those of quorum queues are some seconds old: use
    /// [`Amqp::depth`](super::Amqp::depth) for a number of now.
    ///
    /// # Panics
    /// When it does not say.
    pub async fn queues(&self) -> Vec<(String, u64)> {
        let listed = self.ctl(&["list_queues", "--no-table-headers", "name", "messages"]).await;
        let queue = |line: &str| {
            let (name, messages) = line.split_once('\t')?;
            Some((name.to_owned(), messages.trim().parse().ok()?))
        };
        listed.lines().filter_map(queue).collect()
    }
}
