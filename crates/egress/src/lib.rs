//! The only way out: an HTTP client that judges the address of every connection.
//!
//! Webhooks go to URLs that tenants wrote, and inputs are fetched from them. Both are an offer to make this server
//! talk to something only it can reach. So everything that dials an address a caller chose goes through [`Client`].
//!
//! # Theory of operation
//!
//! An exchange goes through phases, each timed, all of them under one deadline that starts before DNS and ends after
//! the last byte:
//!
//! 1. **url**: the [`Policy`] judges scheme, userinfo, port, and an address written out. The URL was parsed by the
//!    parser that also feeds the dialler, so there are no two readings of one spelling.
//! 2. A connection at rest to the same origin is used if there is one: it was judged when it was dialled, and the policy
//!    of a client never changes. Neither DNS nor a handshake happens, nor is a task spawned.
//! 3. **dns**: otherwise the [`Resolver`] answers, and *every* answer is judged; one forbidden answer refuses the name
//!    whole, because a name that mixes public and private addresses has one purpose.
//! 4. **connect**: the very addresses that were judged are dialled, in order, each with its share of the time left. No
//!    second lookup happens in between, so an answer that changes (DNS rebinding) changes nothing. No proxy of the
//!    environment is used: it would dial for us, unjudged.
//! 5. **tls**, **send**, **first_byte**, **body**: HTTP/1.1, heads of at most 64 KiB, bodies of at most what the
//!    request allows, never inflated.
//!
//! Redirects are not followed unless the request allows a number of them; each hop starts at 1, and a hop to another
//! origin carries neither credentials nor custom headers.
//!
//! # The bad day
//!
//! * A connection at rest was closed by the other side: the request is repeated once, at once, on a fresh connection,
//!   provided no byte of a response came and the body can be repeated. [`Failure::sent_bytes`] stays true if bytes of
//!   the first try left, for the receiver may then have seen it.
//! * A receiver drips, stalls, lies about its length, or sends headers without end: the deadline, the stall limit, the
//!   announced length and the cap on heads each end it with a [`Failure`] of their own kind; memory stays flat.
//! * The caller gives up: dropping the future closes the socket, since the future itself drives it.
//!
//! # What it does not do
//!
//! HTTP/2, cookies, proxies, decompression, caching of DNS. It does not protect what is reachable *at* an allowed
//! address: an operator who allows a network allows all of it at those ports.

mod certificate;
mod client;
mod connection;
mod connector;
mod exchange;
mod failure;
mod fault;
mod identity;
mod lookups;
mod outgoing;
mod policy;
mod pool;
mod ports;
mod progress;
mod reader;
mod redirect;
mod request;
mod resolver;
mod response;
mod special_purpose;
mod tls;
mod tls_fault;
mod wire;

pub use certificate::{CertificateSummary, certificates_from_pem};
pub use client::{BuildError, Client, Settings};
pub use failure::{Failure, FailureKind, Phase, Timings};
pub use fault::is_shortage;
pub use identity::{Identity, IdentityError, PemError, TlsProfile, check_private_key, roots_from_pem};
pub use policy::{Policy, Refusal};
pub use request::{Request, RequestBody, Usual};
pub use resolver::{Resolver, SystemResolver};
pub use response::{Body, Exchange, Response};
pub use rustls::pki_types::CertificateDer;
pub use tls_fault::TlsFault;
