//! The API reference, rendered from the OpenAPI document into one page without outside assets or scripts.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#2563eb}
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem 1.25rem 6rem}
h1{font-size:1.9rem;margin:.5rem 0}h2{border-bottom:1px solid var(--line);margin-top:3rem;padding-bottom:.3rem}
code,pre{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em}
details{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;padding:.3rem .9rem}
summary{cursor:pointer;padding:.35rem 0}summary:focus-visible{outline:2px solid var(--accent)}
.method{display:inline-block;font-weight:700;min-width:4.8rem}.get{color:#15803d}.post{color:#1d4ed8}.put,.patch{color:#b45309}.delete{color:#b91c1c}
@media(prefers-color-scheme:dark){.get{color:#4ade80}.post{color:#60a5fa}.put,.patch{color:#fbbf24}.delete{color:#f87171}}
.what{opacity:.8;margin-left:.6rem}table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{border-bottom:1px solid var(--soft);padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top}th{font-weight:600}
nav a{margin-right:1rem}a{color:var(--accent)}.tablewrap{overflow-x:auto}
";

/// Text that is safe between tags and in attributes; `code` marks become elements.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut marked = String::with_capacity(escaped.len());
    for (index, part) in escaped.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(marked, "<code>{part}</code>");
        } else {
            marked.push_str(part);
        }
    }
    marked
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>",
        html(title)
    )
}

/// The words that describe a schema's type.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("<a href=\"#schema-{0}\">{0}</a>", html(name));
    }
    for any in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[any].as_array() {
            let joint = if any == "allOf" { " and " } else { " or " };
            return parts.iter().map(kind).collect::<Vec<_>>().join(joint);
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("<code>{}</code>", html(word)))
            .collect::<Vec<_>>()
            .join(" ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Value::String(name) => name.clone(),
        _ => "any".to_owned(),
    };
    if schema["items"].is_object() { format!("{} of {}", html(&name), kind(&schema["items"])) } else { html(&name) }
}

fn fields(schema: &Value, into: &mut String) {
    if let Some(parts) = schema["allOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        for part in parts {
            if part["$ref"].is_string() {
                let _ = write!(into, "<p>{}</p>", kind(part));
            }
            fields(part, into);
        }
    }
    let Some(properties) = schema["properties"].as_object() else {
        if schema["enum"].is_array() {
            let _ = write!(into, "<p>{}</p>", kind(schema));
        }
        return;
    };
    into.push_str("<div class=\"tablewrap\"><table><tr><th>field</th><th>type</th><th></th></tr>");
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    for (name, field) in properties {
        let mark = if required(name) { "" } else { "?" };
        let words = html(field["description"].as_str().unwrap_or_default());
        let _ =
            write!(into, "<tr><td><code>{}</code>{mark}</td><td>{}</td><td>{words}</td></tr>", html(name), kind(field));
    }
    into.push_str("</table></div>");
}

fn operation(method: &str, path: &str, operation: &Value) -> String {
    let title = html(operation["summary"].as_str().unwrap_or_default());
    let mut body = format!(
        "<details><summary><span class=\"method {method}\">{}</span><code>{}</code><span class=\"what\">{title}</span></summary>",
        method.to_uppercase(),
        html(path)
    );
    if let Some(words) = operation["description"].as_str() {
        let _ = write!(body, "<p>{}</p>", html(words));
    }
    if let Some(parameters) = operation["parameters"].as_array() {
        body.push_str("<div class=\"tablewrap\"><table><tr><th>parameter</th><th>in</th><th></th></tr>");
        for parameter in parameters {
            let text = |name: &str| html(parameter[name].as_str().unwrap_or_default());
            let _ = write!(
                body,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                text("name"),
                text("in"),
                text("description")
            );
        }
        body.push_str("</table></div>");
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        for (media, schema) in content {
            let _ = write!(body, "<p>Body: <code>{}</code> {}</p>", html(media), kind(&schema["schema"]));
        }
    }
    body.push_str("<div class=\"tablewrap\"><table><tr><th>response</th><th>body</th><th></th></tr>");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let shown = answer["content"]
            .as_object()
            .and_then(|content| content.values().next())
            .map(|media| kind(&media["schema"]));
        let words = html(answer["description"].as_str().unwrap_or_default());
        let _ =
            write!(body, "<tr><td>{}</td><td>{}</td><td>{words}</td></tr>", html(status), shown.unwrap_or_default());
    }
    body.push_str("</table></div></details>");
    body
}

/// Renders the document.
pub(crate) fn render(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut tags: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, entry) in methods.as_object().into_iter().flatten() {
            let tag = entry["tags"][0].as_str().unwrap_or("Other").to_owned();
            let rendered = operation(method, path, entry);
            match tags.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, section)) => section.push_str(&rendered),
                None => tags.push((tag, rendered)),
            }
        }
    }
    tags.sort_by_key(|(tag, _)| {
        ["Jobs", "Uploads", "Origins", "Webhooks", "Settings", "API keys", "Operations"]
            .iter()
            .position(|known| known == tag)
    });
    let info = &document["info"];
    let mut body =
        format!("<h1>Reelhook API <small>{}</small></h1>", html(info["version"].as_str().unwrap_or_default()));
    for paragraph in info["description"].as_str().unwrap_or_default().split("\n\n") {
        let _ = write!(body, "<p>{}</p>", html(paragraph));
    }
    body.push_str("<nav>");
    for (tag, _) in &tags {
        let _ = write!(body, "<a href=\"#{0}\">{0}</a>", html(tag));
    }
    body.push_str("<a href=\"#schemas\">Schemas</a><a href=\"/docs/errors\">Errors</a><a href=\"/openapi.json\">openapi.json</a></nav>");
    for (tag, section) in &tags {
        let _ = write!(body, "<h2 id=\"{0}\">{0}</h2>{section}", html(tag));
    }
    body.push_str("<h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(body, "<details id=\"schema-{0}\" open><summary><b>{0}</b></summary>", html(name));
        if let Some(words) = schema["description"].as_str() {
            let _ = write!(body, "<p>{}</p>", html(words));
        }
        fields(schema, &mut body);
        body.push_str("</details>");
    }
    page("Reelhook API", &body)
}

/// Every code that an answer of the API can have, and what to do about it.
const CODES: &[(&str, u16, &str)] = &[
    (
        "malformed_request",
        400,
        "The body cannot be parsed: it is not JSON, a broken multipart body, or incomplete. Send the whole body again.",
    ),
    ("unsupported_command", 400, "A command has an argument that is not allowed; the detail names it."),
    ("unauthorized", 401, "The API key is missing, unknown or revoked. Send `Authorization: Bearer rh_...`."),
    (
        "insufficient_credits",
        402,
        "The account has too few credits for the job. The operator of the server can grant more.",
    ),
    ("link_not_valid", 403, "A signed link has expired or was changed. Get the job again: it shows a new link."),
    (
        "host_not_allowed",
        403,
        "Without API keys (`--open`), the server accepts only requests whose host is an IP address, localhost, the host of `public_url` or one of `api.allowed_hosts`.",
    ),
    (
        "cross_site_request",
        403,
        "Without API keys (`--open`), the server accepts requests from pages of other sites only for the sites of `api.allowed_hosts`.",
    ),
    ("not_found", 404, "The object does not exist, or belongs to another account."),
    ("method_not_allowed", 405, "The path exists, but does not support the method."),
    ("request_timeout", 408, "The body did not arrive in time."),
    ("state_conflict", 409, "The state of the object does not allow the operation; the detail names both."),
    (
        "idempotency_conflict",
        409,
        "The `Idempotency-Key` was used for another request. Use a new key for a new request.",
    ),
    ("output_not_ready", 409, "The output has no file: it is still being created, or it failed. The job says which."),
    ("already_exists", 409, "The object already exists."),
    ("unimplemented", 501, "The service documents this call, but this server does not support it."),
    ("pull_endpoint", 409, "The endpoint is a pull endpoint and has no URL to call."),
    ("secret_exists", 409, "The service already has a secret; rotate it."),
    (
        "too_many_secrets",
        409,
        "The limit of old secrets that still sign is reached. Wait until the first of them ends, or rotate with `overlap_seconds` 0, which ends all of them.",
    ),
    ("body_gone", 409, "The body of the delivery is no longer stored, so it cannot be sent again."),
    (
        "endpoint_deleted",
        409,
        "The endpoint of the delivery was deleted, so the delivery cannot be sent again. Replay its event to another endpoint.",
    ),
    ("origin_archived", 409, "The origin and its credentials were deleted. Create a new origin."),
    ("no_default_webhook", 409, "There is no default webhook to test."),
    (
        "legacy_path",
        410,
        "The path belongs to a part of the service's API that is not supported; the detail names the supported paths.",
    ),
    ("too_large", 413, "The body or the file is larger than its limit, which the detail names."),
    ("unsupported_media_type", 415, "The path does not accept the Content-Type."),
    (
        "invalid_request",
        422,
        "The request is not valid: `violations` lists every violation with its path and what is allowed.",
    ),
    (
        "too_many_requests",
        429,
        "The limit per minute of resends, replays, cancellations, recoveries or tests is reached. `Retry-After` says when to try again.",
    ),
    (
        "quota_exceeded",
        429,
        "The account has reached a quota. `quota` has its name, its limit and the present value; `GET /v1/settings` lists all quotas. The operator of the server sets them.",
    ),
    (
        "too_many_streams",
        429,
        "The account has reached the limit of open event streams (`api.max_streams_per_account`). Close one of them.",
    ),
    ("internal", 500, "The server failed. Its log has the reason under the `request_id`."),
    ("planning_busy", 503, "The server works on as many plans as it may. Try again in a moment, or submit the job."),
    (
        "too_many_connections",
        503,
        "All connections of the server, or of one address, are in use. Close some, or try again later.",
    ),
    ("draining", 503, "The server is stopping. Try again in a moment."),
    ("database_unavailable", 503, "The database does not respond."),
    (
        "out_of_disk",
        503,
        "The server's disk is full, except for the reserve of its database. Nothing of the request was stored.",
    ),
    (
        "out_of_resources",
        503,
        "The server has no file descriptor or no memory to spare; nothing was done. Try again in a moment: `Retry-After` says when.",
    ),
];

/// The page that the `type` of every error points to.
pub(crate) fn errors() -> String {
    let mut body = "<h1>Errors</h1><p>Errors are <code>application/problem+json</code> (RFC 9457). <code>code</code> is stable; \
                    <code>violations</code> lists everything that is wrong with a request; <code>request_id</code> names it in the \
                    server's log.</p><div class=\"tablewrap\"><table><tr><th>code</th><th>status</th><th>meaning</th></tr>"
        .to_owned();
    for (code, status, words) in CODES {
        let _ = write!(
            body,
            "<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{}</td></tr>",
            html(words)
        );
    }
    body.push_str("</table></div><p><a href=\"/docs\">API reference</a></p>");
    page("Reelhook errors", &body)
}
