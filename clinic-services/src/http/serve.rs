//! The server: HTTP/1.1 over a listener until shutdown, no client able to hold it up.

use std::{io, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long answers in flight may take after shutdown; then their connections are cut.
const DRAIN_WITHIN: Duration = Duration::from_secs(8);
/// The pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then answers what is in flight for at most 8 seconds and cuts the rest.
///
/// # Errors
/// None today: failed accepts are tried again. The signature leaves room.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // A token of its own, so that connections do not meet at one lock on every request.
            Ok((stream, _)) => drop(connections.spawn(connection(http.clone(), stream, router.clone(), shutdown.child_token()))),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(http: http1::Builder, stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        // Errors here are the client's: it went away or spoke no HTTP.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(DRAIN_WITHIN, connection).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
