//! The OpenAPI document: routes and schemas from the code, problems from the table below.

use clinic_core::{
    api::{Problem, ProblemCode},
    booking::Status,
    dead_letter::DeadLetterKind,
    decision::{AttemptOutcome, Reason},
    notification::{EventKind, NoticeState},
    timeline::EntryKind,
};
use utoipa::openapi::{
    self, Content, Ref, ResponseBuilder,
    header::HeaderBuilder,
    path::Operation,
    schema::{ObjectBuilder, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::refusal::PROBLEM_JSON;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Clinic",
        description = "Appointment requests: accepted at once as pending, decided later, every decision told. \
                       Errors are RFC 9457 problems with a stable `code`. Answers may gain fields. Times in answers are RFC 3339 UTC.",
    ),
    components(schemas(Problem, ProblemCode, Status, Reason, AttemptOutcome, EventKind, NoticeState, EntryKind, DeadLetterKind)),
    tags(
        (name = "bookings", description = "Appointment requests and what became of them"),
        (name = "dead letters", description = "What failed for good, for staff to see and replay"),
        (name = "webhooks", description = "Where the clinic's own systems hear of every event"),
        (name = "health", description = "For people and for whatever restarts or routes to the process; no key needed"),
        (name = "about", description = "What this is and how it does"),
    ),
)]
pub(super) struct Document;

use ProblemCode as Code;

/// Which problems an operation answers with, beside those of [`ANY`].
const PROBLEMS: &[(&str, &[Code])] = &[
    (
        "book",
        &[
            Code::BadRequest,
            Code::SlotTaken,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::InvalidRequest,
            Code::IdempotencyKeyReused,
            Code::TooManyPending,
            Code::Unavailable,
            Code::OutcomeUnknown,
        ],
    ),
    ("booking", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable]),
    ("timeline", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable]),
    ("events", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable]),
    (
        "cancel",
        &[Code::NotFound, Code::NotCancellable, Code::AlreadyStarted, Code::InvalidRequest, Code::Unavailable, Code::OutcomeUnknown],
    ),
    ("bookings", &[Code::InvalidRequest, Code::Unavailable]),
    ("deadLetters", &[Code::InvalidRequest, Code::Unavailable]),
    ("deadLetter", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable]),
    (
        "replay",
        &[
            Code::NotFound,
            Code::SlotTaken,
            Code::AlreadyStarted,
            Code::AlreadyReplayed,
            Code::Superseded,
            Code::EndpointRemoved,
            Code::EndpointDisabled,
            Code::InvalidRequest,
            Code::Unavailable,
            Code::OutcomeUnknown,
        ],
    ),
    (
        "registerWebhook",
        &[
            Code::BadRequest,
            Code::WebhooksOff,
            Code::WebhookExists,
            Code::TooManyWebhooks,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::InvalidRequest,
            Code::Unavailable,
            Code::OutcomeUnknown,
        ],
    ),
    ("webhooks", &[Code::InvalidRequest, Code::Unavailable]),
    ("webhook", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable]),
    ("removeWebhook", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable, Code::OutcomeUnknown]),
    ("testWebhook", &[Code::NotFound, Code::WebhooksOff, Code::InvalidRequest, Code::Unavailable]),
    ("enableWebhook", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable, Code::OutcomeUnknown]),
    ("renewWebhookSecret", &[Code::NotFound, Code::InvalidRequest, Code::Unavailable, Code::OutcomeUnknown]),
    ("metrics", &[Code::NotFound]),
];

/// Problems of every operation; those of health ask for no key.
const ANY: [Code; 3] = [Code::Unauthorized, Code::Forbidden, Code::Internal];

/// Adds to the routes' document what they share: problems, the request id, the key.
pub(super) fn complete(document: &mut openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            add_problems(operation);
        }
    }
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key. Asked for only where the clinic was given keys (CLINIC_API_KEYS_FILE)."))
        .build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme("key", SecurityScheme::Http(key));
    }
    document.security = Some(vec![SecurityRequirement::default(), SecurityRequirement::new::<_, [&str; 0], &str>("key", [])]);
}

fn add_problems(operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let own = PROBLEMS.iter().find(|(name, _)| *name == id).map_or(&[][..], |(_, codes)| codes);
    let is_health = operation.tags.iter().flatten().any(|tag| tag == "health");
    let any = if is_health { &[Code::Internal][..] } else { &ANY[..] };
    let mut codes: Vec<_> = own.iter().chain(any).copied().collect();
    codes.sort_by_key(|code| code.status_and_title().0);
    for codes in codes.chunk_by(|one, other| one.status_and_title().0 == other.status_and_title().0) {
        let status = codes[0].status_and_title().0;
        let said: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}", code.status_and_title().1)).collect();
        let mut response =
            ResponseBuilder::new().description(said.join("; ")).content(PROBLEM_JSON, Content::new(Some(Ref::from_schema_name("Problem"))));
        if status == 503 {
            let seconds = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::Integer))).description(Some("seconds"));
            response = response.header("Retry-After", seconds.build());
        }
        operation.responses.responses.insert(status.to_string(), response.build().into());
    }
}
