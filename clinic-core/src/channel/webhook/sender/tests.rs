use std::net::IpAddr;

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{super::lookup::Lookup, *};

const TIMEOUT: Duration = Duration::from_millis(300);

/// A receiver that reads a little and then does as told with each connection; its URL.
async fn receiver<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            tokio::spawn(answer(stream));
        }
    });
    url
}

/// Writes `first` and then `again` for ever, as long as anybody reads.
async fn pour(mut stream: TcpStream, first: &'static str, again: &'static [u8], pause: Duration) {
    let _ = stream.write_all(first.as_bytes()).await;
    while stream.write_all(again).await.is_ok() {
        tokio::time::sleep(pause).await;
    }
}

async fn post(url: &str) -> Result<Answer, PostError> {
    Sender::new(Guard::new(["127.0.0.1"]).unwrap(), TIMEOUT).unwrap().post(url, HeaderMap::new(), b"{}".to_vec()).await
}

#[tokio::test]
async fn an_answer_is_its_status_and_when_to_come_again() {
    let url = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await;
    });
    let answer = post(&url.await).await.unwrap();
    assert_eq!(answer, Answer { status: 503, retry_after: Some(Duration::from_secs(7)) });
    assert_eq!(answer.code(), Some("webhook_status_5xx"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let url = receiver(|mut stream| async move {
        let head = b"HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(head).await;
    });
    assert_eq!(post(&url.await).await.unwrap().code(), Some("webhook_status_3xx"));
}

#[tokio::test]
async fn whoever_never_answers_or_drips_its_head_is_cut_off() {
    let silent = receiver(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    });
    assert_eq!(post(&silent.await).await.unwrap_err().code(), "webhook_timeout");
    let dripping = receiver(|stream| pour(stream, "HTTP/1.1 200 OK\r\nX: ", b"x", Duration::from_millis(50)));
    assert_eq!(post(&dripping.await).await.unwrap_err().code(), "webhook_timeout");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let url = receiver(|stream| pour(stream, "HTTP/1.1 200 OK\r\n", b"X-More: 0123456789\r\n", Duration::ZERO));
    let code = post(&url.await).await.unwrap_err().code();
    assert!(["webhook_unreachable", "webhook_timeout"].contains(&code), "{code}");
}

#[tokio::test]
async fn a_flood_and_a_drip_behind_a_status_are_cut_off() {
    let (poured, mut cut) = tokio::sync::mpsc::unbounded_channel();
    let flood = receiver(move |mut stream| {
        let poured = poured.clone();
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
            let mut blocks = 0;
            while stream.write_all(&[0; 65_536]).await.is_ok() {
                blocks += 1;
            }
            let _ = poured.send(blocks);
        }
    });
    assert_eq!(post(&flood.await).await.unwrap().code(), None);
    // 64 KiB are read; what sockets hold is some MiB.
    assert!(cut.recv().await.unwrap() < 512);
    let drip = receiver(|stream| pour(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"x", Duration::from_millis(50)));
    assert_eq!(post(&drip.await).await.unwrap().code(), None);
}

#[tokio::test]
async fn a_forbidden_target_is_not_connected_to() {
    struct Inside;
    impl Lookup for Inside {
        fn lookup(&self, _host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = Sender::new(Guard::with_lookup([], Arc::new(Inside)).unwrap(), TIMEOUT).unwrap();
    for url in [format!("https://rebound.example:{port}/"), format!("https://127.0.0.1:{port}/"), format!("http://rebound.example:{port}/")]
    {
        let error = sender.post(&url, HeaderMap::new(), Vec::new()).await.unwrap_err();
        assert_eq!(error.code(), "webhook_forbidden_target", "{url}");
    }
    assert!(futures_util::FutureExt::now_or_never(listener.accept()).is_none());
}

#[test]
fn retry_after_is_read_in_seconds_and_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let of = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
    assert_eq!(of("120"), Some(Duration::from_secs(120)));
    assert_eq!(of(&httpdate::fmt_http_date(now + Duration::from_secs(60))), Some(Duration::from_secs(60)));
    assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    assert_eq!(of("soon"), None);
}
