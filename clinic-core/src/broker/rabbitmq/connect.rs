//! From an address to an open AMQP connection, every step of it with a time-out.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, AsyncTcpStream},
};
use tokio::time::timeout;

use super::{
    error::{LinkError, within},
    url::RabbitUrl,
};

/// For a TCP connection, and TLS over it.
const CONNECT: Duration = Duration::from_secs(3);
/// For AMQP's own handshake.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// A second hold on a connection's socket. lapin waits for a silent peer as long as the kernel does; when this is closed, its
/// thread finds the connection broken, and ends.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) fn close(&self) {
        // One that is closed already is as good.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

/// Connects. The name is what the broker's operators see.
pub(super) async fn connect(url: &RabbitUrl, name: &str) -> Result<(Connection, Socket), LinkError> {
    if url.is_encrypted() {
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let runtime = lapin::runtime::default_runtime().map_err(|source| LinkError::Failed { step: "connecting", source })?;
    // Done here, not by lapin: each time that lapin's own connecting fails it leaves a task behind.
    let connecting = url.uri.connect_with_config_async(url.tls.as_ref(), &runtime);
    let stream = match timeout(CONNECT, connecting).await {
        Ok(connected) => connected.map_err(LinkError::Connect)?,
        Err(_) => return Err(LinkError::TimedOut { step: "connecting", limit: CONNECT }),
    };
    let fd = match &stream {
        AsyncTcpStream::Plain(plain) => plain.get_ref().as_fd().try_clone_to_owned(),
        AsyncTcpStream::Rustls(tls) => tls.get_ref().0.get_ref().as_fd().try_clone_to_owned(),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = Socket(fd.map_err(LinkError::Connect)?.into());
    let stream = Mutex::new(Some(stream));
    let opening = Connection::connector(
        url.uri.clone(),
        runtime,
        async move |_, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
        },
        ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "clinic".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into()),
    );
    Ok((within(HANDSHAKE, "opening the connection", opening).await?, socket))
}
