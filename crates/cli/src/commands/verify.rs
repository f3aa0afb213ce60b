//! `reelhook verify`: is this webhook from who holds the secret, unchanged, and of now? Asks nobody.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use reelhook_signature::{Headers, PublicKey, Secret, Trust, VerifyError, verify};
use serde_json::json;

use crate::exit::Exit;
use crate::{ambient, output};

const EXAMPLES: &str = "\
Examples:
  reelhook verify --secret whsec_... --headers headers.txt body.json
  curl -s https://example.com/body | reelhook verify --secret whsec_... \\
      --id evt_... --timestamp 1614265330 --signature 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  reelhook verify --public-key whpk_... --headers headers.txt --ignore-time body.json

The body must be the raw bytes as they were sent: JSON that was parsed and written again has another signature.
Exits with 0 if the webhook is genuine, with 1 if it is not, and with 2 if it cannot be checked.";

/// Check the signature of a webhook (Standard Webhooks), without a server, and say which check failed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The endpoint's secret; give it twice during a rotation
    #[arg(long, value_name = "whsec_...", required_unless_present = "public_key")]
    secret: Vec<String>,
    /// The server's public key, for signatures of version v1a
    #[arg(long, value_name = "whpk_...")]
    public_key: Vec<String>,
    /// The value of the webhook-id header
    #[arg(long, value_name = "ID", conflicts_with = "headers")]
    id: Option<String>,
    /// The value of the webhook-timestamp header
    #[arg(long, value_name = "SECONDS", conflicts_with = "headers", allow_hyphen_values = true)]
    timestamp: Option<String>,
    /// The value of the webhook-signature header
    #[arg(long, value_name = "SIGNATURES", conflicts_with = "headers")]
    signature: Option<String>,
    /// A file with the headers: `name: value` lines, or a JSON object
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
    /// Accept a webhook of any age
    #[arg(long)]
    ignore_time: bool,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    /// The file with the raw body; - means stdin
    #[arg(value_name = "BODY", default_value = "-")]
    body: PathBuf,
}

/// Checks, and says so.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let secrets = args.secret.iter().map(|text| Secret::parse(text)).collect::<Result<Vec<_>, _>>();
    let secrets = secrets.map_err(|error| Exit::Usage.error(format_args!("--secret: {error}")))?;
    let public_keys = args.public_key.iter().map(|text| PublicKey::parse(text));
    let public_keys = public_keys.collect::<Result<Vec<_>, _>>();
    let public_keys = public_keys.map_err(|error| Exit::Usage.error(format_args!("--public-key: {error}")))?;
    let listed = args.headers.as_deref().map(read_headers).transpose()?.unwrap_or_default();
    let given =
        [("webhook-id", &args.id), ("webhook-timestamp", &args.timestamp), ("webhook-signature", &args.signature)];
    let headers = Headers::read(|name| {
        let listed =
            listed.iter().find(|(listed, _)| listed.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        listed.or_else(|| given.iter().find(|(given, _)| *given == name).and_then(|(_, value)| value.as_deref()))
    });
    let body = read_body(&args.body)?;
    let sent_at = headers.timestamp.and_then(|text| text.parse().ok());
    let now_seconds = sent_at.filter(|_| args.ignore_time).unwrap_or_else(|| ambient::system().now().as_seconds());
    let trust = Trust::secrets(&secrets).with_public_keys(&public_keys);
    report(&verify(headers, &body, now_seconds, trust), body.len(), args.json)
}

fn report(result: &Result<(), VerifyError>, size: usize, json: bool) -> anyhow::Result<ExitCode> {
    let advice = result.as_ref().err().map_or("", advice);
    match (result, json) {
        (Ok(()), true) => output::json(&json!({"valid": true}))?,
        (Ok(()), false) => output::line(format_args!("valid: the signature matches the {size} bytes of the body"))?,
        (Err(error), true) => {
            output::json(
                &json!({"valid": false, "check": check(error), "message": error.to_string(), "advice": advice}),
            )?;
        }
        (Err(error), false) => {
            output::line(format_args!("not valid ({}): {error}", check(error)))?;
            output::note(advice);
        }
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which check failed, in a word.
fn check(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::MissingHeader(_) => "header",
        VerifyError::BadId => "id",
        VerifyError::BadTimestamp | VerifyError::TimestampTooOld { .. } | VerifyError::TimestampTooNew { .. } => {
            "timestamp"
        }
        _ => "signature",
    }
}

fn advice(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::MissingHeader(_) => {
            "Give all three headers, with --headers or with --id, --timestamp and --signature."
        }
        VerifyError::BadId => "Reelhook sends an id such as evt_...; look whether a proxy changed the header.",
        VerifyError::BadTimestamp => "Reelhook sends whole seconds; look whether a proxy changed the header.",
        VerifyError::TimestampTooOld { .. } => {
            "For a webhook that was kept, add --ignore-time; otherwise compare the clocks."
        }
        VerifyError::TimestampTooNew { .. } => "Compare the clocks of the two machines.",
        VerifyError::NoKnownVersion => "v1 is checked with --secret, v1a with --public-key.",
        VerifyError::NoMatchingSignature => {
            "Check that the secret is this endpoint's, and that the body is raw: not parsed and written again, no line feed added."
        }
        _ => "",
    }
}

fn read_body(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).context("the body cannot be read from stdin")?;
        return Ok(body);
    }
    std::fs::read(path)
        .map_err(|error| Exit::Usage.error(format_args!("the body {} cannot be read: {error}", path.display())))
}

fn read_headers(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let refuse = |why: String| Exit::Usage.error(format_args!("the headers {} {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    parse_headers(&text).map_err(|error| refuse(format!("cannot be read: {error}")))
}

fn parse_headers(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    if text.trim_start().starts_with('{') {
        let pairs: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_str(text)?;
        let spell = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Ok(pairs.into_iter().map(|(name, value)| (name, spell(value))).collect());
    }
    let mut headers = Vec::new();
    // A status line or request line, as `curl -i` and proxies write it, has no place here but does no harm.
    for line in
        text.lines().map(str::trim_end).take_while(|line| !line.is_empty()).filter(|line| !line.contains("HTTP/"))
    {
        let Some((name, value)) = line.split_once(':') else { bail!("the line {line:?} is not `name: value`") };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_lines_and_as_json() {
        let expected =
            vec![("Webhook-Id".to_owned(), "evt_1".to_owned()), ("webhook-timestamp".to_owned(), "7".to_owned())];
        assert_eq!(
            parse_headers("POST / HTTP/1.1\r\nWebhook-Id: evt_1\r\nwebhook-timestamp:7\r\n\r\nbody: x").unwrap(),
            expected
        );
        assert_eq!(parse_headers(r#"{"Webhook-Id": "evt_1", "webhook-timestamp": 7}"#).unwrap(), expected);
        assert!(parse_headers("no colon").is_err());
    }
}
