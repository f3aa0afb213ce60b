//! `reelhook trigger`: a lifelike event, through the server or straight to a receiver.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
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
use crate::exit::Exit;
use crate::{address, ambient, event_type, output, samples};

const EXAMPLES: &str = "\
Examples:
  reelhook trigger job.completed                     through the server, to its endpoints
  reelhook trigger invoice.paid --payload invoice.json
  reelhook trigger job.failed --to localhost:3000/hook --secret whsec_...
                                                     straight to a receiver, signed; needs no server

The API key goes to the server alone, never to the receiver.";

/// Send a sample event: through the server to its endpoints, or straight to a receiver
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The event type: one of Reelhook's, such as job.completed, or one of your own, such as invoice.paid
    #[arg(value_name = "EVENT_TYPE")]
    kind: EventType,
    /// Send this JSON instead of the sample
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Send straight to this receiver, not through the server
    #[arg(long, value_name = "URL", value_parser = address::read)]
    to: Option<Url>,
    /// Sign with this secret of the receiver's endpoint
    #[arg(long, value_name = "whsec_...", requires = "to")]
    secret: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Sends it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    event_type::check(&args.kind).map_err(|why| Exit::Usage.error(why))?;
    let ambient = ambient::system();
    let mut event = samples::event(args.kind.clone(), &ambient)?;
    if let Some(path) = &args.payload {
        let text = std::fs::read(path)
            .map_err(|error| Exit::Usage.error(format_args!("{} cannot be read: {error}", path.display())))?;
        event.data = serde_json::from_slice::<serde_json::Value>(&text)
            .map_err(|error| Exit::Usage.error(format_args!("{} is not JSON: {error}", path.display())))?
            .into();
        event.job = None;
    }
    let Some(to) = args.to else { return publish(&event, &args.connect).await };
    let secret = args.secret.as_deref().map(Secret::parse).transpose();
    let secret = secret.map_err(|error| Exit::Usage.error(format_args!("--secret: {error}")))?;
    if secret.is_none() {
        output::note("the webhook is not signed; --secret signs it");
    }
    send(&ambient, &event, secret, to, args.connect.json).await
}

async fn publish(event: &Event, connect: &Connect) -> anyhow::Result<ExitCode> {
    let mut request = json!({"type": event.kind, "payload": samples::payload(event)?});
    if event.kind.is_reserved() {
        request["sample"] = true.into();
    }
    let answer = Api::connect(connect).await?.post(&["events"], &request).await?;
    match answer["ids"][0].as_str() {
        _ if connect.json => output::json(&answer)?,
        Some(id) => output::line(id)?,
        None => bail!("the server returned no event id"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn send(
    ambient: &Ambient,
    event: &Event,
    secret: Option<Secret>,
    to: Url,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let body = samples::body(event)?;
    let stamp = Stamp {
        event: event.id,
        event_type: event.kind.as_str(),
        delivery: ambient.id(),
        sequence: event.sequence,
        attempt: 1,
        at: ambient.now(),
        body: &body,
        secrets: secret.as_slice(),
        signing_keys: &[],
        service_secrets: &[],
    };
    let mut request = Request::post(to.clone(), Bytes::new());
    request.headers = headers(Dialect::Native, &stamp);
    if secret.is_none() {
        // Without a secret there is no signature that a receiver could check.
        request.headers.remove("webhook-signature");
    }
    request.body = reelhook_egress::RequestBody::Full(Bytes::from(body));
    let exchange = match client::unrestricted()?.send(request).await {
        Ok(exchange) => exchange,
        Err(failure) => {
            let reason = client::reason(&failure);
            return Err(Exit::Unreachable.error(format_args!("cannot send to {to}: {reason}")));
        }
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
