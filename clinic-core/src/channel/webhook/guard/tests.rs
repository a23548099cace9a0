use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;

/// Gives one list of addresses after the other, the last one for ever.
struct Scripted(Mutex<Vec<Vec<IpAddr>>>);

impl Lookup for Scripted {
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut script = self.0.lock().unwrap();
        let addresses = if script.len() > 1 { script.remove(0) } else { script[0].clone() };
        Box::pin(async move { Ok(addresses) })
    }
}

fn resolving(allow: &[&str], script: &[&[&str]]) -> Guard {
    let script = script.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect()).collect();
    Guard::with_lookup(allow.iter().copied(), Arc::new(Scripted(Mutex::new(script)))).unwrap()
}

#[test]
fn addresses_that_are_not_public_are_refused_however_they_are_written() {
    let guard = resolving(&[], &[&["1.1.1.1"]]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2001:0:1::1]",
        "[2002:7f00:1::1]",
        "[2001:db8::1]",
        "[2001:2::1]",
        "[3fff::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[ff02::1]",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
    ] {
        let refused = guard.parse(&format!("https://{host}/hook"));
        assert!(matches!(refused, Err(GuardError::Forbidden)), "{host}: {refused:?}");
    }
    for host in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "[2606:4700::1111]", "clinic.example"] {
        assert!(guard.parse(&format!("https://{host}/hook")).is_ok(), "{host}");
    }
}

#[test]
fn what_is_no_plain_https_url_is_refused() {
    let guard = resolving(&[], &[&["1.1.1.1"]]);
    let long = format!("https://clinic.example/{}", "x".repeat(MAX_URL));
    for url in [
        "",
        "hook",
        "ftp://clinic.example",
        "https://",
        "https://u@clinic.example",
        "https://u:p@clinic.example",
        "https://a.example/#b",
        &long,
    ] {
        assert!(matches!(guard.parse(url), Err(GuardError::Url)), "{url}");
    }
    assert!(matches!(guard.parse("http://8.8.8.8/"), Err(GuardError::Plain)));
    // Short as it is written, too long as it is sent.
    assert!(matches!(guard.parse(&format!("https://clinic.example/{}", "é".repeat(1_000))), Err(GuardError::Url)));
}

#[tokio::test]
async fn one_address_that_is_not_public_forbids_a_name() {
    for addresses in [&["10.0.0.1"][..], &["1.1.1.1", "127.0.0.1"], &["1.1.1.1", "::ffff:10.0.0.1"], &["fd00::1"]] {
        let guard = resolving(&[], &[addresses]);
        assert!(matches!(guard.check("https://clinic.example").await, Err(GuardError::Forbidden)), "{addresses:?}");
    }
    assert!(matches!(Guard::new([]).unwrap().check("https://localhost.").await, Err(GuardError::Forbidden)));
    assert!(matches!(resolving(&[], &[&[]]).check("https://clinic.example").await, Err(GuardError::Unresolved(_))));
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to_each_time() {
    let guard = resolving(&[], &[&["1.1.1.1"], &["127.0.0.1"]]);
    assert!(guard.check("https://rebinding.example").await.is_ok());
    assert!(matches!(guard.check("https://rebinding.example").await, Err(GuardError::Forbidden)));
}

#[tokio::test]
async fn exceptions_are_addresses_networks_and_names_and_plain_http_is_for_them_alone() {
    let guard = resolving(&["10.0.0.0/8", "::1", " Intranet. "], &[&["192.168.0.1"]]);
    for url in ["http://10.1.2.3", "https://[::1]:8443", "http://intranet", "http://intranet./hook"] {
        assert!(guard.check(url).await.is_ok(), "{url}");
    }
    for url in ["https://11.intranet", "http://1.1.1.1", "https://127.0.0.1"] {
        assert!(matches!(guard.check(url).await, Err(GuardError::Forbidden | GuardError::Plain)), "{url}");
    }
}

#[test]
fn an_exception_that_would_never_match_is_refused() {
    let network = "10.0.0.0/8".parse().unwrap();
    assert_eq!(Guard::new(["10.1.2.3/8"]).unwrap_err(), AllowError::Host { entry: "10.1.2.3/8".into(), network });
    for entry in ["10.0.0.0/33", "*.example.org", "https://example.org", "example.org:8443", "example.org/hook", "a..b", "127.1", "a b"] {
        assert_eq!(Guard::new([entry]).unwrap_err(), AllowError::Unknown { entry: entry.into() });
    }
}

#[tokio::test]
async fn an_exception_in_another_alphabet_is_the_host_that_urls_name_so() {
    let guard = resolving(&["Clínica.example"], &[&["192.168.0.1"]]);
    assert!(guard.check("https://clínica.example/hook").await.is_ok());
    assert!(guard.check("https://xn--clnica-4va.example/hook").await.is_ok());
}
