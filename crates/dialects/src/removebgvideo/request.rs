//! What callers of RemoveBGVideo may say.
//!
//! Fields that the service does not document are ignored, as its clients send what their versions know. What was said is
//! kept with the job ([`JobRequest::said`]), so that a draft can be started with some of it said anew: the new fields are
//! laid over the old ones and the whole is read again.

use std::collections::BTreeMap;

use reelhook_domain::credit::CreditRate;
use reelhook_domain::event::{EventFilter, EventType};
use reelhook_domain::form::{Form, Violation};
use reelhook_domain::job::{Dialect, ONLY_INPUT};
use reelhook_domain::recipe::{
    Anchor, Background, Composition, Format, LARGEST_SIDE, MATTED_FORMATS, Quality, Recipe, Refine, RemoveBackground,
    Rgb,
};
use serde_json::{Map, Value, json};
use url::Url;

use crate::request::{InputRequest, JobRequest, NamedInput, OutputRequest, WebhookRequest};

/// The model of a request that names none.
pub const DEFAULT_MODEL: &str = "original";
/// Largest upload, in bytes.
pub const LARGEST_UPLOAD: u64 = 500 * 1000 * 1000;
/// The name of the one output of a job.
pub const OUTPUT: &str = "output";
/// The name of the input that is the picture behind the subject.
pub const BACKDROP: &str = "background";
const LONGEST_URL: usize = 4096;
const LONGEST_PROMPT: usize = 2000;
const GREEN: Rgb = Rgb([9, 162, 70]);
const BLUE: Rgb = Rgb([0, 71, 187]);

/// The fields of a request that say how; what was said of them is kept.
const KEPT: &[&str] = &[
    "video_url",
    "model",
    "output_format",
    "bg_type",
    "bg_color",
    "bg_image_url",
    "background",
    "text_prompt",
    "metadata",
    "composition",
];
/// Those that a start may say anew, besides the webhook.
const OVERRIDES: &[&str] = &[
    "model",
    "output_format",
    "bg_type",
    "bg_color",
    "bg_image_url",
    "background",
    "text_prompt",
    "metadata",
    "composition",
];

/// What the operator offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The service's names of models, each with the installed one that it stands for: `MODEL`, or `MODEL:REFINE`.
    pub models: BTreeMap<String, String>,
    /// The models that are installed or built in; each is known by its own name too.
    pub installed: Vec<String>,
    /// Credits for a minute, by the name that a caller says; a name that is not here costs as the default model does.
    pub credits_per_minute: BTreeMap<String, u32>,
}

impl Terms {
    /// The installed model that a name stands for, and how its matte is refined.
    fn installed(&self, name: &str) -> Option<(&str, Refine)> {
        let meant = self.models.get(name).map_or(name, String::as_str);
        let (model, refine) = match meant.split_once(':') {
            Some((model, word)) => (model, Refine::from_word(word)?),
            None => (meant, Refine::Full),
        };
        let model = self.installed.iter().find(|installed| *installed == model)?;
        Some((model, refine))
    }

    /// The names that work.
    pub fn names(&self) -> Vec<&str> {
        let spoken = self.models.keys().map(String::as_str).filter(|name| self.installed(name).is_some());
        let own = self.installed.iter().map(String::as_str).filter(|name| !self.models.contains_key(*name));
        spoken.chain(own).collect()
    }

    /// What a minute costs with that model.
    pub fn rate(&self, name: &str) -> CreditRate {
        let rate = self.credits_per_minute.get(name).or_else(|| self.credits_per_minute.get(DEFAULT_MODEL));
        CreditRate(rate.copied().unwrap_or(0))
    }
}

/// The events of ours that the service tells of.
pub fn events() -> EventFilter {
    let told = [
        EventType::JOB_STARTED,
        EventType::JOB_COMPLETED,
        EventType::JOB_PARTIAL,
        EventType::JOB_FAILED,
        EventType::JOB_REJECTED,
        EventType::JOB_CANCELED,
    ];
    EventFilter::new(told.map(str::to_owned).to_vec())
}

/// Reads `POST /v1/jobs`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn job(value: Value, terms: &Terms) -> Result<JobRequest, Vec<Violation>> {
    let said = kept(&value, KEPT);
    Form::read(value, |form| {
        let auto_start = form.boolean("auto_start").unwrap_or(true);
        let webhook = webhook(form);
        let mut request = read(form, terms)?;
        form.ignore_rest();
        (request.draft, request.webhook, request.said) = (!auto_start, webhook, said);
        Some(request)
    })
}

/// Reads `POST /v1/jobs/{id}/start`: what it says is laid over what was `said` when the draft was made. The answer has no
/// webhook where it names none: the draft's stays.
///
/// # Errors
/// Everything that is wrong with it.
pub fn start(value: Value, said: &Value, terms: &Terms) -> Result<JobRequest, Vec<Violation>> {
    let Value::Object(new) = &value else { return job(value, terms) };
    let mut whole = said.as_object().cloned().unwrap_or_default();
    let says = |field: &&str| new.get(*field).is_some_and(|value| !value.is_null());
    // The two ways to name a background: the one that is said now replaces the other.
    if says(&"background") {
        for field in ["bg_type", "bg_color", "bg_image_url"] {
            whole.remove(field);
        }
    } else if ["bg_type", "bg_color", "bg_image_url"].iter().any(says) {
        whole.remove("background");
    }
    for field in OVERRIDES.iter().filter(|field| says(field)) {
        whole.insert((*field).to_owned(), new[*field].clone());
    }
    if let Some(url) = new.get("webhook_url") {
        whole.insert("webhook_url".to_owned(), url.clone());
    }
    job(Value::Object(whole), terms)
}

/// Whether a start says anything at all.
pub fn overrides(value: &Value) -> bool {
    let says = |field: &str| value.get(field).is_some_and(|value| !value.is_null());
    OVERRIDES.iter().any(|field| says(field)) || says("webhook_url") || !value.is_object()
}

/// The name of the model that a job was asked for with.
pub fn model_of(said: &Value) -> &str {
    said.get("model").and_then(Value::as_str).unwrap_or(DEFAULT_MODEL)
}

fn kept(value: &Value, fields: &[&str]) -> Value {
    let said = fields.iter().filter_map(|field| Some(((*field).to_owned(), value.get(field)?.clone())));
    Value::Object(said.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn read(form: &mut Form, terms: &Terms) -> Option<JobRequest> {
    let video = url(form, "video_url");
    let video = form.require("video_url", video);
    let name = form.text("model", 64).unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    let model = terms.installed(&name).map(|(model, refine)| (model.to_owned(), refine));
    if model.is_none() {
        let installed = terms.names().join(", ");
        form.refuse(
            "model",
            name.clone().into(),
            format_args!(
                "is not installed on this server; installed are {installed}; its operator can add models (media.models)"
            ),
        );
    }
    form.text("text_prompt", LONGEST_PROMPT);
    let format: Option<Format> = format(form);
    let (backdrop, picture) = backdrop(form, format)?;
    let composition = form.object("composition", composition);
    let metadata = metadata(form);
    let mut inputs = vec![NamedInput::only(InputRequest::Url(video?))];
    inputs.extend(picture.map(|url| NamedInput {
        name: BACKDROP.to_owned(),
        source: InputRequest::Url(url),
        headers: BTreeMap::new(),
    }));
    let (model, refine) = model?;
    let recipe = RemoveBackground {
        model,
        refine,
        require_subject: false,
        key_color: None,
        background: backdrop,
        format: format?,
        quality: Quality::Standard,
        composition,
    };
    let outputs = vec![OutputRequest { name: OUTPUT.to_owned(), recipe: Recipe::RemoveBackground(recipe) }];
    let mut request = JobRequest::new(Dialect::RemoveBgVideo, inputs, outputs);
    debug_assert_eq!(request.inputs[0].name, ONLY_INPUT);
    request.credit_rate = Some(terms.rate(&name));
    request.metadata = metadata;
    Some(request)
}

fn format(form: &mut Form) -> Option<Format> {
    let Some(word) = form.text("output_format", 32) else { return Some(Format::Webm) };
    let format = Format::from_word(&word).filter(|format| MATTED_FORMATS.contains(format));
    if format.is_none() {
        form.refuse("output_format", word.into(), "must be one of webm, mov, mp4, gif, webp, png_sequence");
    }
    format
}

/// What stands behind the subject: `background` where it is there, for `bg_type` is what clients send unasked.
fn backdrop(form: &mut Form, format: Option<Format>) -> Option<(Background, Option<Url>)> {
    let is_object = form.has("background");
    let object = form.object("background", |form| {
        let (kind, color) = (form.text("type", 32), form.value("color"));
        let picture = url(form, "image_url");
        form.ignore_rest();
        let kind = kind.or_else(|| Some(if picture.is_some() { "image" } else { "color" }.to_owned()));
        chosen(form, "type", &kind?, ("color", color), ("image_url", picture))
    });
    let (kind, color) = (form.text("bg_type", 32), form.value("bg_color"));
    let picture = url(form, "bg_image_url");
    let said = is_object || kind.is_some() || color.is_some() || picture.is_some();
    let (backdrop, picture) = match (is_object, kind) {
        (true, _) => object?,
        (false, Some(kind)) => chosen(form, "bg_type", &kind, ("bg_color", color), ("bg_image_url", picture))?,
        (false, None) if picture.is_some() => (Background::Image { input: BACKDROP.to_owned() }, picture),
        (false, None) if color.is_some() => {
            chosen(form, "bg_type", "color", ("bg_color", color), ("bg_image_url", None))?
        }
        // An mp4 has no alpha; the service's own clients say green where nothing is said.
        (false, None) if format == Some(Format::Mp4) => (Background::Color { color: GREEN }, None),
        (false, None) => (Background::Transparent, None),
    };
    if said && format == Some(Format::Mp4) && backdrop == Background::Transparent {
        let path = if is_object { "background" } else { "bg_type" };
        form.refuse(path, "transparent".into(), "must be a colour or an image: mp4 carries no alpha");
    }
    Some((backdrop, picture))
}

type Named<T> = (&'static str, Option<T>);

fn chosen(
    form: &Form,
    field: &'static str,
    kind: &str,
    (color_field, color): Named<Value>,
    (picture_field, picture): Named<Url>,
) -> Option<(Background, Option<Url>)> {
    let plain = |color| Some((Background::Color { color }, None));
    match kind {
        "transparent" => Some((Background::Transparent, None)),
        "green" => plain(GREEN),
        "white" => plain(Rgb([255; 3])),
        "black" => plain(Rgb([0; 3])),
        "blue" => plain(BLUE),
        "color" | "custom" => {
            let color = form.require(color_field, color)?;
            let read = rgb(&color);
            if read.is_none() {
                let message = "must be three numbers, 0 to 1 each or 0 to 255 each, or a text such as #00ff00";
                form.refuse(color_field, color, message);
            }
            plain(read?)
        }
        "image" => {
            let picture = form.require(picture_field, picture)?;
            Some((Background::Image { input: BACKDROP.to_owned() }, Some(picture)))
        }
        other => {
            let allowed = "must be one of transparent, green, white, black, blue, color, custom, image";
            form.refuse(field, other.into(), allowed);
            None
        }
    }
}

/// Three numbers, of which none is above 1 (then they are shares) or all are 0 to 255; or `#rrggbb`.
fn rgb(value: &Value) -> Option<Rgb> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let numbers: Vec<f64> = value.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let [red, green, blue] = numbers.try_into().ok()?;
    let all = [red, green, blue];
    if all.iter().any(|number: &f64| !(0.0..=255.0).contains(number)) {
        return None;
    }
    let scale = if all.iter().all(|number| *number <= 1.0) { 255.0 } else { 1.0 };
    Some(Rgb(all.map(|number| (number * scale).round() as u8)))
}

fn composition(form: &mut Form) -> Option<Composition> {
    let canvas = form.object("canvas", |form| {
        let mut side = |name| form.integer32(name, 2..=LARGEST_SIDE);
        let sides = (side("width"), side("height"));
        form.ignore_rest();
        Some(sides)
    });
    let (canvas_width, canvas_height) = canvas.unwrap_or_default();
    let mut made =
        Composition { canvas_width, canvas_height, anchor: Anchor::Center, scale: 1.0, offset_x: 0, offset_y: 0 };
    form.object("foreground", |form| {
        made.anchor = form.choice("anchor").unwrap_or(made.anchor);
        made.scale = form.number("scale", 0.01..=10.0).unwrap_or(made.scale);
        form.object("offset", |form| {
            let mut pixels = |name| form.number(name, -7680.0..=7680.0).map_or(0, |pixels| pixels.round() as i32);
            (made.offset_x, made.offset_y) = (pixels("x"), pixels("y"));
            form.ignore_rest();
            Some(())
        });
        form.ignore_rest();
        Some(())
    });
    form.ignore_rest();
    Some(made)
}

/// The caller's pairs: texts go with the job, the rest is answered again as it was said.
fn metadata(form: &mut Form) -> BTreeMap<String, String> {
    const LONGEST: usize = 16 * 1024;
    match form.value("metadata") {
        Some(Value::Object(pairs)) if json!(pairs).to_string().len() <= LONGEST => {
            pairs.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).take(20).collect()
        }
        None => BTreeMap::new(),
        Some(other) => {
            form.refuse("metadata", other, format_args!("must be an object of at most {LONGEST} bytes"));
            BTreeMap::new()
        }
    }
}

fn webhook(form: &mut Form) -> Option<WebhookRequest> {
    url(form, "webhook_url").map(|url| WebhookRequest { url, events: events(), headers: None, tls: None })
}

/// Takes a URL; an empty text is none.
fn url(form: &mut Form, name: &'static str) -> Option<Url> {
    let text = form.text(name, LONGEST_URL)?;
    if text.is_empty() {
        return None;
    }
    let parsed = Url::parse(&text);
    if let Err(error) = &parsed {
        // Never repeat what may hold a password.
        form.refuse(
            name,
            Value::Null,
            format_args!("must be an absolute URL such as https://example.com/clip.mp4 ({error})"),
        );
    }
    parsed.ok()
}

#[cfg(test)]
mod tests;
