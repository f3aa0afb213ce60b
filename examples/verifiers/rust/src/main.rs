//! Checks webhooks with the published Rust libraries: a question a line on stdin, a verdict a line on stdout.

use std::io::{BufRead as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let verdict = match verdict(&question)? {
            Ok(()) => "accepted".to_owned(),
            Err(why) => format!("refused {why}"),
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", verdict.replace('\n', " "))?;
        stdout.flush()?;
    }
    Ok(())
}

/// What the library says; an error of ours is a question that cannot be read.
fn verdict(question: &Value) -> Result<Result<(), String>, Box<dyn std::error::Error>> {
    let text = |name: &str| question[name].as_str().ok_or(format!("{name} is not text"));
    let body = BASE64_STANDARD.decode(text("body")?)?;
    let mut headers = HeaderMap::new();
    for (name, value) in question["headers"].as_object().ok_or("headers are not an object")? {
        let value = value.as_str().ok_or("a header is not text")?;
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(match text("by")? {
        "standardwebhooks" => standardwebhooks::Webhook::new(text("key")?)?
            .verify(&body, &headers)
            .map_err(|error| error.to_string()),
        "svix" => {
            svix::webhooks::Webhook::new(text("key")?)?.verify(&body, &headers).map_err(|error| error.to_string())
        }
        other => return Err(format!("there is no library {other} here").into()),
    })
}
