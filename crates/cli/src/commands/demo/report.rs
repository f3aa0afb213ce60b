//! What the demo shows at its end: the webhook, the outputs, and how to do the same by hand.

use std::path::Path;

use serde_json::Value;

use super::clip::ARGUMENTS;
use super::receiver::Received;
use crate::output::{self, size};

/// The headers that matter, and the body without its details.
pub(super) fn webhook(webhook: &Received, body: &Value) -> anyhow::Result<()> {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "reelhook-delivery", "reelhook-attempt"] {
        output::line(format_args!("   {name}: {}", webhook.header(name)))?;
    }
    let mut body = body.clone();
    shorten(&mut body);
    for line in serde_json::to_string_pretty(&body)?.lines() {
        output::line(format_args!("   {line}"))?;
    }
    Ok(())
}

/// Leaves out what a first look does not need: details of media and plans, and what is not there.
fn shorten(body: &mut Value) {
    const LEFT_OUT: [&str; 6] = ["media", "plan", "receipt", "codec", "crf", "quality"];
    match body {
        Value::Object(fields) => {
            fields.retain(|name, value| !value.is_null() && !LEFT_OUT.contains(&name.as_str()));
            fields.values_mut().for_each(shorten);
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        _ => {}
    }
}

/// One row an output: what it was, what it is, and what was checked.
pub(super) fn outputs(job: &Value) -> anyhow::Result<()> {
    let before = job["input"]["size_bytes"].as_u64().unwrap_or(0);
    let mut rows =
        vec![["OUTPUT", "RECIPE", "BEFORE", "AFTER", "LENGTH", "TOOK", "CHECKS"].map(str::to_owned).to_vec()];
    for made in job["outputs"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let seconds =
            |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        rows.push(vec![
            text(&made["file"]["name"]),
            text(&made["recipe"]),
            size(before),
            size(made["file"]["size_bytes"].as_u64().unwrap_or(0)),
            seconds(&made["file"]["media"]["duration_seconds"]),
            made["receipt"]["wall_ms"]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |millis| format!("{:.2} s", millis / 1000.0)),
            checks(&made["receipt"]["checks"]),
        ]);
    }
    output::line("")?;
    output::table(&rows)?;
    if job["outputs"].as_array().into_iter().flatten().any(|made| made["receipt"]["shared_by"].as_u64() > Some(1)) {
        output::line("Outputs that one run of ffmpeg made share its time: the clip was decoded once.")?;
    }
    Ok(())
}

/// `5 of 5`: how many of the checks passed.
fn checks(checks: &Value) -> String {
    let Some(checks) = checks.as_array() else { return "-".to_owned() };
    let passed = checks.iter().filter(|check| check["passed"] == true).count();
    format!("{passed} of {} passed", checks.len())
}

/// What the model saw.
pub(super) fn cut_out(job: &Value) -> anyhow::Result<()> {
    let matte = &job["outputs"][0]["receipt"]["matte"];
    let per_cent =
        |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |part| format!("{:.0} %", part * 100.0));
    output::line(format_args!(
        "The person takes {} of the picture; the model was {} sure on average.",
        per_cent(&matte["mean_subject"]),
        per_cent(&matte["mean_confidence"])
    ))
}

/// The same, typed. Of the demo's own clip, which is removed, it says how to make it again; a drawn one cannot be typed.
pub(super) fn by_hand(clip: Option<&Path>, background: bool) -> anyhow::Result<()> {
    if background {
        return output::line(format_args!(
            "
The same by hand: `reelhook models add human`, `reelhook serve --dev`, and in another terminal
  reelhook submit {} --wait --output alone=remove_background,model=human,format=webm",
            clip.map_or_else(|| "me.mp4".to_owned(), |clip| output::shell_word(&clip.to_string_lossy()))
        ));
    }
    let (made, clip) = match clip {
        Some(clip) => (String::new(), output::shell_word(&clip.to_string_lossy())),
        None => (format!("  ffmpeg {ARGUMENTS} clip.mp4\n"), "clip.mp4".to_owned()),
    };
    let form = output::shell_word(&format!("file=@{}", clip.trim_matches('\'')));
    output::line(format_args!(
        r#"
The same by hand, in one terminal:
  reelhook serve --dev

and in another, with the address and the key that it printed:
  export REELHOOK_URL=http://127.0.0.1:8080 REELHOOK_KEY=rh_...
{made}  reelhook submit {clip} --wait --output web=compress,format=mp4 \
    --output hd=convert,format=webm,resolution=720p,quality=economy --output still=thumbnail,at_seconds=1,width=640
  reelhook jobs list

or with curl, and webhooks to a program of yours:
  curl -H "Authorization: Bearer $REELHOOK_KEY" "$REELHOOK_URL/v1/jobs" -F {form} \
    -F 'job={{"outputs": [{{"recipe": "compress"}}], "webhook": {{"url": "http://localhost:3000/hook"}}}}'"#
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_webhook_is_shown_without_its_details() {
        let mut body = json!({"data": {"outputs": [{"id": "out_1", "plan": [1], "error": null, "file": {"name": "a", "media": {}}}]}});
        shorten(&mut body);
        assert_eq!(body, json!({"data": {"outputs": [{"id": "out_1", "file": {"name": "a"}}]}}));
    }

    #[test]
    fn checks_are_counted() {
        assert_eq!(checks(&json!([{"passed": true}, {"passed": false}])), "1 of 2 passed");
        assert_eq!(checks(&Value::Null), "-");
    }
}
