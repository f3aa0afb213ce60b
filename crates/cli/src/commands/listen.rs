//! `reelhook listen`: webhooks for a program on this machine, without a tunnel.
//!
//! It registers an endpoint that asks for its events itself, pulls them with the signature the server made, and forwards
//! headers and raw body as they are, so that the local program verifies them as it will in production. When it ends, it
//! deletes the endpoint; when the server restarts, or the connection breaks, it goes on after the last event it forwarded,
//! asking for fewer at once the more often the connection breaks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use reelhook_egress::{Client, Request};
use serde_json::{Value, json};
use url::Url;

use crate::args::Connect;
use crate::client::{self, Api, Problem};
use crate::output;
use crate::signals::Signals;

/// Most events of one answer.
const MOST_AT_ONCE: u32 = 100;
/// How long to wait before asking again after the connection failed: twice as long each time in a row.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  reelhook listen --forward-to http://localhost:3000/hook
  reelhook listen --forward-to http://localhost:3000/hook --events job.completed,job.failed
  reelhook listen --forward-to http://localhost:3000/hook --secret-out secret.txt
  reelhook trigger job.completed                          in another terminal: something to receive

It prints a line for each event: when, what, and how the local program answered. Ctrl-C ends it and
deletes the endpoint it made.";

/// Forward webhooks to a program on this machine, without a tunnel
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The local program
    #[arg(long, value_name = "URL")]
    forward_to: Url,
    /// Which events, separated by commas: types, or globs such as job.*; everything but progress when left out
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Vec<String>,
    /// Write the signing secret to this file, for its owner alone; without a file, alone on stdout as the first line
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    secret_out: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// Forwards until a signal comes.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::take()?;
    let api = Api::connect(&args.connect)?;
    let mut wanted = json!({"pull": true, "description": "reelhook listen"});
    if !args.events.is_empty() {
        wanted["events"] = json!(args.events);
    }
    let endpoint = api.post(&["endpoints"], &wanted).await.context("the server made no endpoint")?;
    let id = endpoint["id"].as_str().context("the server named no endpoint")?;
    let forwarder = Forwarder { http: client::unrestricted()?, to: args.forward_to, json: args.connect.json };
    let forwarding = async {
        tell_secret(endpoint["secret"].as_str().unwrap_or_default(), args.secret_out.as_deref())?;
        output::note(format_args!("{id} forwards to {}; Ctrl-C ends it", forwarder.to));
        forwarder.run(&api, id).await
    };
    let ended = tokio::select! {
        result = forwarding => result,
        () = signals.next() => Ok(()),
    };
    // Whatever ended it, the endpoint shall not stay and gather events that nobody asks for.
    let deleted = api.delete(&["endpoints", id]).await;
    ended?;
    deleted.with_context(|| format!("the endpoint {id} is still there"))?;
    Ok(ExitCode::SUCCESS)
}

fn tell_secret(secret: &str, out: Option<&Path>) -> anyhow::Result<()> {
    match out {
        Some(path) if path == Path::new("-") => output::line(secret),
        Some(path) => {
            use std::io::Write as _;
            use std::os::unix::fs::OpenOptionsExt as _;
            let mut options = std::fs::OpenOptions::new();
            let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
            let written = file.and_then(|mut file| writeln!(file, "{secret}"));
            written.with_context(|| format!("the secret cannot be written to {}", path.display()))?;
            output::note(format_args!("the signing secret is in {}", path.display()));
            Ok(())
        }
        None => {
            output::note(format_args!("signing secret: {secret}"));
            Ok(())
        }
    }
}

struct Forwarder {
    http: Client,
    to: Url,
    json: bool,
}

impl Forwarder {
    async fn run(&self, api: &Api, endpoint: &str) -> anyhow::Result<()> {
        let mut after = 0;
        let (mut limit, mut pause) = (MOST_AT_ONCE, SHORTEST_PAUSE);
        loop {
            let (asked, at_most) = (after.to_string(), limit.to_string());
            let query = [("after", asked.as_str()), ("limit", at_most.as_str()), ("wait", "30s")];
            match api.get_within(&["endpoints", endpoint, "events"], &query, Duration::from_secs(90)).await {
                Ok(answer) => {
                    pause = SHORTEST_PAUSE;
                    limit = (limit * 2).min(MOST_AT_ONCE);
                    for event in answer["events"].as_array().into_iter().flatten() {
                        self.forward(event).await?;
                        after = event["sequence"].as_i64().unwrap_or(after).max(after);
                    }
                    after = answer["last_sequence"].as_i64().unwrap_or(after).max(after);
                }
                // The server said no: asking again changes nothing, unless it is only going down.
                Err(error)
                    if error.downcast_ref::<Problem>().is_some_and(|problem| problem.status.is_client_error()) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    output::note(format_args!("{error}; trying again in {} s", pause.as_secs_f32()));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    // A connection that breaks now and then still carries a short answer.
                    limit = (limit / 2).max(1);
                }
            }
        }
    }

    async fn forward(&self, event: &Value) -> anyhow::Result<()> {
        let body = event["body"].as_str().unwrap_or_default();
        let headers = read_headers(&event["headers"]);
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("-").to_owned();
        let kind = serde_json::from_str::<Value>(body).ok().and_then(|body| body["type"].as_str().map(str::to_owned));
        let mut request = Request::post(self.to.clone(), Bytes::copy_from_slice(body.as_bytes()));
        request.headers = headers;
        let started = Instant::now();
        let answer = self.http.send(request).await;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = answer.as_ref().ok().map(|exchange| exchange.status.as_u16());
        let outcome = match &answer {
            Ok(exchange) => exchange.status.to_string(),
            Err(failure) => failure.public_reason().to_owned(),
        };
        let kind = kind.unwrap_or_else(|| "-".to_owned());
        if self.json {
            let line = json!({
                "sequence": event["sequence"], "type": kind, "id": id, "status": status, "outcome": outcome, "ms": millis,
            });
            return output::line(line);
        }
        output::line(format_args!("{kind:<24} {id:<30} {outcome:<28} {millis:>5} ms"))
    }
}

/// The headers as the server made them, without those that belong to one connection.
fn read_headers(headers: &Value) -> HeaderMap {
    let pairs = headers.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let name = name.parse::<HeaderName>().ok()?;
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok())?;
        (!matches!(name.as_str(), "host" | "content-length" | "connection" | "transfer-encoding"))
            .then_some((name, value))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_on_as_they_are_but_for_those_of_the_connection() {
        let headers =
            read_headers(&json!({"webhook-id": "evt_1", "Host": "x", "Content-Length": "3", "bad name": "x", "x": 3}));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["webhook-id"], "evt_1");
    }
}
