//! `reelhook trigger`: a lifelike event, through the server or straight to a receiver.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use reelhook_dialects::{Stamp, headers};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::job::Dialect;
use reelhook_egress::Request;
use reelhook_signature::Secret;
use serde_json::json;
use url::Url;

use crate::args::Connect;
use crate::client::{self, Api};
use crate::{ambient, output, samples};

const EXAMPLES: &str = "\
Examples:
  reelhook trigger job.completed                     through the server, to every endpoint that wants it
  reelhook trigger invoice.paid --payload invoice.json
  reelhook trigger job.failed --url http://localhost:3000/hook --secret whsec_...
                                                     straight to a receiver, signed; no server needed

With --secret, --url is the receiver; otherwise it is the server.";

/// Send a sample event: through the server to its endpoints, or signed and straight to a receiver
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The type: one of ours, such as job.completed, or your own
    #[arg(value_name = "EVENT_TYPE")]
    kind: EventType,
    /// Send this JSON instead of the sample
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Sign with this secret and send straight to --url
    #[arg(long, value_name = "whsec_...")]
    secret: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Sends it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    let mut event = samples::event(args.kind.clone(), &ambient)?;
    if let Some(path) = &args.payload {
        let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        event.data = serde_json::from_slice::<serde_json::Value>(&text)
            .with_context(|| format!("{} is no JSON", path.display()))?
            .into();
        event.job = None;
    }
    match &args.secret {
        Some(secret) => {
            let secret = Secret::parse(secret).context("--secret")?;
            send(&ambient, &event, secret, args.connect.url, args.connect.json).await
        }
        None => publish(&event, &args.connect).await,
    }
}

async fn publish(event: &Event, connect: &Connect) -> anyhow::Result<ExitCode> {
    let mut request = json!({"type": event.kind, "payload": samples::payload(event)?});
    if event.kind.is_reserved() {
        request["sample"] = true.into();
    }
    let answer = Api::connect(connect)?.post(&["events"], &request).await?;
    match answer["ids"][0].as_str() {
        _ if connect.json => output::json(&answer)?,
        Some(id) => output::line(id)?,
        None => bail!("the server named no event"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn send(ambient: &Ambient, event: &Event, secret: Secret, to: Url, json: bool) -> anyhow::Result<ExitCode> {
    let body = samples::body(event)?;
    let stamp = Stamp {
        event: event.id,
        event_type: event.kind.as_str(),
        delivery: ambient.id(),
        sequence: event.sequence,
        attempt: 1,
        at: ambient.now(),
        body: &body,
        secrets: &[secret],
        signing_keys: &[],
        service_secrets: &[],
    };
    let mut request = Request::post(to.clone(), Bytes::new());
    request.headers = headers(Dialect::Native, &stamp);
    request.body = reelhook_egress::RequestBody::Full(Bytes::from(body));
    let exchange = match client::unrestricted()?.send(request).await {
        Ok(exchange) => exchange,
        Err(failure) => bail!("{to}: {}", failure.public_reason()),
    };
    let status = exchange.status;
    if json {
        output::json(
            &json!({"id": event.id, "type": event.kind, "status": status.as_u16(), "ms": exchange.timings.total.as_millis()}),
        )?;
    } else {
        output::line(format_args!(
            "{} {}: {status} in {} ms",
            event.kind,
            event.id,
            exchange.timings.total.as_millis()
        ))?;
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
