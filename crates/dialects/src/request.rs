//! What callers ask for, whatever dialect they said it in.

use std::collections::BTreeMap;

use reelhook_domain::credit::CreditRate;
use reelhook_domain::endpoint::Rate;
use reelhook_domain::event::{Data, EventFilter, EventType};
use reelhook_domain::id::{OriginId, UploadId};
use reelhook_domain::job::{Dialect, ONLY_INPUT, OnDamage, Priority};
use reelhook_domain::object_path::{BasePath, PathTemplate};
use reelhook_domain::origin::{Credentials, Permissions, Place};
use reelhook_domain::recipe::Recipe;
use reelhook_domain::retry::RetrySchedule;
use reelhook_domain::tls::{EndpointTls, TlsChange};
use reelhook_signature::Secret;
use serde_json::Value;
use url::Url;

/// Turn these inputs into these outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// What is read: 1 to 50, names unique; none when the bytes come with the request.
    pub inputs: Vec<NamedInput>,
    /// What is made: 1 to 20, names unique.
    pub outputs: Vec<OutputRequest>,
    /// Where this job's events go.
    pub webhook: Option<WebhookRequest>,
    /// The caller's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Which jobs go first.
    pub priority: Priority,
    /// What becomes of a damaged source.
    pub on_damage: OnDamage,
    /// Whose shapes it was said in.
    pub dialect: Dialect,
    /// Whether its caller is asked to accept the estimate first.
    pub confirm: bool,
    /// Whether it waits until it is started.
    pub draft: bool,
    /// Where its outputs are written besides our own keeping.
    pub destination: Option<DestinationRequest>,
    /// What a minute of its first input takes from its account's credits.
    pub credit_rate: Option<CreditRate>,
    /// What only its dialect understands and answers again. Never a secret.
    pub said: Value,
}

impl JobRequest {
    /// A request with nothing but its inputs and outputs: no webhook, no metadata, standard priority, started at once.
    pub fn new(dialect: Dialect, inputs: Vec<NamedInput>, outputs: Vec<OutputRequest>) -> Self {
        Self {
            inputs,
            outputs,
            webhook: None,
            metadata: BTreeMap::new(),
            priority: Priority::Standard,
            on_damage: OnDamage::Strict,
            dialect,
            confirm: false,
            draft: false,
            destination: None,
            credit_rate: None,
            said: Value::Null,
        }
    }
}

/// Where outputs are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRequest {
    /// Which origin.
    pub origin: OriginId,
    /// The bucket and the region that its caller takes it to be in; refused where it is elsewhere.
    pub believed: BelievedPlace,
    /// Where in it.
    pub paths: DestinationPaths,
}

/// What a caller says of the place of an origin, beside its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BelievedPlace {
    /// Its bucket.
    pub bucket: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
}

/// Where outputs go in an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationPaths {
    /// By templates, and told of by their bucket.
    Templates {
        /// What stands before the path of each.
        prefix: Option<PathTemplate>,
        /// The path of each, in the caller's order; the origin's own template where there is none.
        each: Vec<Option<PathTemplate>>,
    },
    /// Into that folder, named after the input, and told of by the address that browsers use. For jobs with one output.
    Folder(BasePath),
}

/// One thing to read.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedInput {
    /// Unique in the job.
    pub name: String,
    /// Where it comes from.
    pub source: InputRequest,
    /// Headers to send when it is downloaded, credentials among them; sealed at rest and never shown.
    pub headers: BTreeMap<String, String>,
}

impl NamedInput {
    /// The only input of a job.
    pub fn only(source: InputRequest) -> Self {
        Self { name: ONLY_INPUT.to_owned(), source, headers: BTreeMap::new() }
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputRequest {
    /// Download it.
    Url(Url),
    /// The caller sent it before.
    Upload(UploadId),
    /// It lies in an origin of the account, at that path.
    Origin(OriginId, String),
}

/// One thing to make.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRequest {
    /// Unique in the job.
    pub name: String,
    /// How.
    pub recipe: Recipe,
}

/// A URL for events, with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where.
    pub url: Url,
    /// Which.
    pub events: EventFilter,
    /// Extra request headers; those that its URL has already where it is none.
    pub headers: Option<BTreeMap<String, String>>,
    /// How TLS with it differs; as its URL has it already where it is none.
    pub tls: Option<EndpointTls>,
}

/// How events reach an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAddress {
    /// We call that URL.
    Push(Url),
    /// Its owner asks us.
    Pull,
}

/// A new endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointRequest {
    /// The signing secret, where the receiver knows one already.
    pub secret: Option<Secret>,
    /// Whose payloads, headers and signature it gets.
    pub dialect: Dialect,
    /// How events reach it.
    pub address: EndpointAddress,
    /// Which events.
    pub events: EventFilter,
    /// The caller's words.
    pub description: String,
    /// Extra request headers.
    pub headers: BTreeMap<String, String>,
    /// How TLS with it differs.
    pub tls: EndpointTls,
    /// Its own schedule.
    pub retry: Option<RetrySchedule>,
    /// Its own rate limit.
    pub rate: Option<Rate>,
    /// Its own deadline, in milliseconds.
    pub timeout_ms: u32,
}

/// A change of an endpoint: absent fields stay; `Some(None)` restores the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointPatch {
    /// Another URL.
    pub url: Option<Url>,
    /// Another filter, or the default one again.
    pub events: Option<Option<EventFilter>>,
    /// Other words, or none.
    pub description: Option<Option<String>>,
    /// Other headers, or none.
    pub headers: Option<Option<BTreeMap<String, String>>>,
    /// How TLS with it differs from now on, or not at all.
    pub tls: Option<Option<TlsChange>>,
    /// Another schedule, or the default one again.
    pub retry: Option<Option<RetrySchedule>>,
    /// Another rate, or none.
    pub rate: Option<Option<Rate>>,
    /// Another deadline, in milliseconds, or the dialect's again.
    pub timeout_ms: Option<Option<u32>>,
}

/// A new origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRequest {
    /// A name for people.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What opens it.
    pub credentials: Credentials,
    /// What we may do there.
    pub permissions: Permissions,
    /// The folder that all of its paths lie in.
    pub base_path: BasePath,
    /// How outputs are named there.
    pub path_template: PathTemplate,
}

/// Settings of an account; a `None` inside clears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRequest {
    /// The default webhook, or none.
    pub default_webhook: Option<WebhookRequest>,
}

/// A secret that signs for a service.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRequest {
    /// Which service.
    pub service: Dialect,
    /// The text, where the caller brings the one that its receivers know already.
    pub text: Option<String>,
}

impl std::fmt::Debug for SecretRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretRequest").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A caller's own event.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishRequest {
    /// Its type.
    pub kind: EventType,
    /// What it carries.
    pub payload: Data,
}
