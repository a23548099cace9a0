//! Every operation of the OpenAPI document has a method of the client, which asks for it as documented.

use std::{future::Future, pin::Pin};

use clinic_client::{BookRequest, Client, RetryPolicy, testing::FakeClinic};
use clinic_services::http::document;
use uuid::Uuid;

type Asked = Pin<Box<dyn Future<Output = ()> + Send>>;
/// An operation's id, and the method that asks for it.
type Method = (&'static str, fn(Client) -> Asked);

/// The client's method for each operation. What comes of it does not matter here.
fn methods() -> Vec<Method> {
    /// A method, called and its answer dropped.
    macro_rules! ask {
        ($client:ident => $call:expr) => {
            |$client| Box::pin(async move { drop($call.await) })
        };
    }
    vec![
        ("home", ask!(client => client.about())),
        ("book", ask!(client => client.bookings().request(BookRequest::at(chrono::Utc::now()).patient("P")).send())),
        ("bookings", ask!(client => client.bookings().list().send())),
        ("booking", ask!(client => client.bookings().get(Uuid::nil()))),
        ("cancel", ask!(client => client.bookings().cancel(Uuid::nil()))),
        ("timeline", ask!(client => client.bookings().timeline(Uuid::nil()))),
        ("events", ask!(client => client.bookings().events(Uuid::nil()).try_next())),
        ("deadLetters", ask!(client => client.dead_letters().list().send())),
        ("deadLetter", ask!(client => client.dead_letters().get(7))),
        ("replay", ask!(client => client.dead_letters().replay(7).send())),
        ("registerWebhook", ask!(client => client.webhooks().register("https://example.org").send())),
        ("webhooks", ask!(client => client.webhooks().list())),
        ("webhook", ask!(client => client.webhooks().get(Uuid::nil()))),
        ("removeWebhook", ask!(client => client.webhooks().remove(Uuid::nil()))),
        ("testWebhook", ask!(client => client.webhooks().test(Uuid::nil()))),
        ("enableWebhook", ask!(client => client.webhooks().enable(Uuid::nil()))),
        ("renewWebhookSecret", ask!(client => client.webhooks().renew_secret(Uuid::nil()))),
        ("health", ask!(client => client.health())),
        ("live", ask!(client => client.live())),
        ("ready", ask!(client => client.ready())),
        ("metrics", ask!(client => client.metrics())),
    ]
}

/// Method and path of every operation, by its id.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operations.push((id, format!("{} {path}", method.to_uppercase())));
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_of_the_document_has_a_method() {
    let (methods, operations) = (methods(), operations());
    let clinic = FakeClinic::start().await.unwrap();
    let client = clinic.client_builder().retry(RetryPolicy::never()).build().unwrap();
    for (id, route) in &operations {
        let (_, ask) = methods.iter().find(|(name, _)| name == id).unwrap_or_else(|| panic!("the client has no method for {id}, {route}"));
        let before = clinic.calls().len();
        ask(client.clone()).await;
        let calls = clinic.calls().split_off(before);
        let asked = format!("{} {}", calls[0].method, calls[0].path);
        let parts = |route: &str| route.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (asked_parts, route_parts) = (parts(&asked), parts(route));
        let is_same = |(asked, documented): (&String, &String)| asked == documented || documented.starts_with('{');
        let matches = asked_parts.len() == route_parts.len() && asked_parts.iter().zip(&route_parts).all(is_same);
        assert!(matches, "for {id} the client asks {asked}, where {route} is documented");
        assert_eq!(calls[0].idempotency_key.is_some(), route.starts_with("POST"), "{id}");
    }
    assert_eq!(methods.len(), operations.len(), "the client's methods for what is not documented");
}
