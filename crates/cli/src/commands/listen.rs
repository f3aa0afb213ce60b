//! `reelhook listen`: webhooks for a program on this machine, without a tunnel.
//!
//! It registers an endpoint that asks for its events itself, pulls them with the signature the server made, and forwards
//! headers and raw body as they are, so that the local program verifies them as it will in production. When it ends, it
//! deletes the endpoint; should it be killed, the server does so once nothing has read it for ten minutes. When the server restarts, or the connection breaks, it goes on after the last event it forwarded,
//! asking for fewer at once the more often the connection breaks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::time::Timestamp;
use reelhook_egress::{Client, Request};
use serde_json::{Value, json};
use url::Url;

use crate::args::Connect;
use crate::client::{self, Api, Problem};
use crate::exit::{self, Exit};
use crate::signals::Signals;
use crate::{address, ambient, event_type, output};

/// Most events of one answer.
const MOST_AT_ONCE: u32 = 100;
/// How long to wait before asking again after the connection failed: twice as long each time in a row.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the server keeps an endpoint that nothing reads.
const GONE_AFTER_MINUTES: u64 = reelhook_delivery::UNREAD.as_secs() / 60;
/// Most characters of an answer that are shown.
const SHOWN: usize = 100;

const EXAMPLES: &str = "\
Examples:
  reelhook listen --forward-to localhost:3000/hook
  reelhook listen --forward-to localhost:3000/hook --events job.completed,job.failed
  reelhook listen --forward-to localhost:3000/hook --secret-out secret.txt
  reelhook trigger job.completed                     in another terminal: an event to receive

It prints a line for each event: the time, the status of the local program's answer, how long the answer
took, the event, and the first line of the answer. Ctrl-C ends it and deletes its endpoint.";

/// Forward webhooks to a program on this machine, without a tunnel
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The URL of the local program
    #[arg(long, value_name = "URL", value_parser = address::read)]
    forward_to: Url,
    /// Which events, separated by commas: types, or globs such as job.* [default: all but job.progress]
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Vec<String>,
    /// Write the signing secret to this file, readable by its owner only; without FILE, print it on stdout as the first line
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    secret_out: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// Forwards until a signal comes.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    for pattern in &args.events {
        event_type::check_filter(pattern).map_err(|why| Exit::Usage.error(format_args!("--events: {why}")))?;
    }
    let mut signals = Signals::take()?;
    let api = Api::connect(&args.connect).await?;
    let mut wanted = json!({"pull": true, "description": "reelhook listen"});
    if !args.events.is_empty() {
        wanted["events"] = json!(args.events);
    }
    let endpoint = api.post_with(&["endpoints"], &[("temporary", "true")], &wanted).await;
    let endpoint = endpoint.context("the server created no endpoint")?;
    let id = endpoint["id"].as_str().context("the server returned no endpoint id")?;
    let forwarder = Forwarder {
        ambient: ambient::system(),
        http: client::unrestricted()?,
        to: args.forward_to,
        json: args.connect.json,
    };
    let forwarding = async {
        tell_secret(endpoint["secret"].as_str().unwrap_or_default(), args.secret_out.as_deref())?;
        output::note(format_args!("{id} forwards to {}; Ctrl-C ends it", forwarder.to));
        forwarder.run(&api, id).await
    };
    let ended = tokio::select! {
        result = forwarding => result,
        () = signals.next() => Ok(()),
    };
    // Whatever ended it, the endpoint shall not stay and gather events that nothing asks for.
    let path = ["endpoints", id];
    let deleted = tokio::select! {
        deleted = api.delete(&path) => deleted,
        () = signals.insisted() => return Ok(Exit::Interrupted.into()),
    };
    ended?;
    deleted.with_context(|| {
        format!("the endpoint {id} was not deleted; the server deletes it in {GONE_AFTER_MINUTES} minutes")
    })?;
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
    ambient: Ambient,
    http: Client,
    to: Url,
    json: bool,
}

impl Forwarder {
    async fn run(&self, api: &Api, endpoint: &str) -> anyhow::Result<()> {
        let mut after = 0;
        let (mut limit, mut pause) = (MOST_AT_ONCE, SHORTEST_PAUSE);
        let mut is_lost = false;
        loop {
            let (asked, at_most) = (after.to_string(), limit.to_string());
            // The first answer after a failure is not waited for: it says that there is a connection again.
            let wait = if is_lost { "0s" } else { "30s" };
            let query = [("after", asked.as_str()), ("limit", at_most.as_str()), ("wait", wait)];
            match api.get_within(&["endpoints", endpoint, "events"], &query, Duration::from_secs(90)).await {
                Ok(answer) => {
                    if std::mem::take(&mut is_lost) {
                        output::note("connected again");
                    }
                    pause = SHORTEST_PAUSE;
                    limit = (limit * 2).min(MOST_AT_ONCE);
                    for event in answer["events"].as_array().into_iter().flatten() {
                        self.forward(event).await?;
                        after = event["sequence"].as_i64().unwrap_or(after).max(after);
                    }
                    after = answer["last_sequence"].as_i64().unwrap_or(after).max(after);
                }
                Err(error) => {
                    let problem = error.downcast_ref::<Problem>().map(|problem| problem.status);
                    if problem == Some(StatusCode::NOT_FOUND) {
                        let why = "it was deleted, or it was not read for too long; start `reelhook listen` again";
                        return Err(error.context(format!("the endpoint {endpoint} is gone ({why})")));
                    }
                    // The server said no: asking again changes nothing, unless it is only going down.
                    if problem.is_some_and(|status| status.is_client_error()) {
                        return Err(error);
                    }
                    if !std::mem::replace(&mut is_lost, true) {
                        output::note(format_args!("{}; trying again", exit::sentence(&error)));
                    }
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
        let kind = kind.unwrap_or_else(|| "-".to_owned());
        let mut request = Request::post(self.to.clone(), Bytes::copy_from_slice(body.as_bytes()));
        request.headers = headers;
        let (at, started) = (self.ambient.now(), Instant::now());
        let answer = self.http.send(request).await;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = answer.as_ref().ok().map(|exchange| exchange.status.as_u16());
        let (outcome, said) = match &answer {
            Ok(exchange) => (exchange.status.to_string(), first_line(&exchange.body)),
            Err(failure) => (failure.public_reason().to_owned(), String::new()),
        };
        if self.json {
            let line = json!({
                "at": at, "sequence": event["sequence"], "type": kind, "id": id, "status": status, "outcome": outcome,
                "ms": millis, "answer": said,
            });
            return output::line(line);
        }
        let line = format!("{}  {outcome:<28} {millis:>5} ms  {kind:<24} {id:<30}  {said}", time_of_day(at));
        output::line(line.trim_end())
    }
}

/// The time of day on this machine.
fn time_of_day(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// The first line of an answer that says something, as far as it can be shown in a terminal.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let shown: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(SHOWN).collect();
    if line.chars().nth(SHOWN).is_some() { format!("{shown}...") } else { shown }
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
    fn an_answer_is_shown_by_its_first_line() {
        for (body, line) in [
            ("ok", "ok"),
            ("\n  {\"ok\": true}\n\nmore", "{\"ok\": true}"),
            ("", ""),
            ("\u{1b}[2Jcleared", " [2Jcleared"),
        ] {
            assert_eq!(first_line(body.as_bytes()), line);
        }
        assert_eq!(first_line(&[b'x'; 5000]).len(), SHOWN + 3);
    }

    #[test]
    fn headers_go_on_as_they_are_but_for_those_of_the_connection() {
        let headers =
            read_headers(&json!({"webhook-id": "evt_1", "Host": "x", "Content-Length": "3", "bad name": "x", "x": 3}));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["webhook-id"], "evt_1");
    }
}
