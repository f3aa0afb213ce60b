//! What callers of Xora may say. Fields that are not known are passed by: the service does not say that it refuses them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use reelhook_domain::command::{Command, is_input_name, is_output_name};
use reelhook_domain::event::EventFilter;
use reelhook_domain::form::{Form, Violation};
use reelhook_domain::job::{Dialect, MOST_INPUTS};
use reelhook_domain::recipe::{Ffmpeg, Format, LONGEST_ARG, MOST_ARGS, Recipe};
use serde_json::{Value, json};
use url::Url;

use super::event::TOLD;
use super::presets;
use super::recipe::{self, FORMATS};
use super::reply::ONLY;
use crate::request::{InputRequest, JobRequest, NamedInput, OutputRequest, WebhookRequest};

/// Longest URL.
const LONGEST_URL: usize = 4096;
/// Most outputs of a command.
const MOST_OUTPUTS: usize = 20;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// Everything that is wrong with it.
    Invalid(Vec<Violation>),
    /// Its command does what commands do not do here.
    Unsupported(String),
}

/// Reads `POST /v1/jobs`.
///
/// # Errors
/// [`Wrong`].
pub fn job(mut value: Value) -> Result<JobRequest, Wrong> {
    let preset = value.get("presetId").filter(|id| !id.is_null()).map(|id| id.as_str().unwrap_or_default().to_owned());
    if let Some(id) = preset
        && let Err(message) = presets::apply(&mut value, &id)
    {
        return Err(Wrong::Invalid(vec![Violation { path: "presetId".to_owned(), value: id.into(), message }]));
    }
    let unsupported = RefCell::new(None);
    let read = Form::read(value, |form| {
        let read = one(form, &unsupported);
        form.ignore_rest();
        read
    });
    match unsupported.into_inner() {
        Some(message) => Err(Wrong::Unsupported(message)),
        None => read.map_err(Wrong::Invalid),
    }
}

/// The inputs and outputs as they were named.
struct Files {
    inputs: Vec<(String, String)>,
    outputs: Vec<(String, String)>,
}

fn one(form: &mut Form, unsupported: &RefCell<Option<String>>) -> Option<JobRequest> {
    let mode = form.text("mode", 16).unwrap_or_else(|| "recipe".to_owned());
    let _ = (form.value("presetId"), form.boolean("stageInput"));
    let webhook = form.text("webhookUrl", LONGEST_URL).and_then(|text| url(form, "webhookUrl", &text));
    let many = form.has("input_files") || form.has("output_files");
    let files = Files {
        inputs: form.pairs("input_files", MOST_INPUTS, LONGEST_URL).unwrap_or_default(),
        outputs: form.pairs("output_files", MOST_OUTPUTS, 200).unwrap_or_default(),
    };
    let input = form.object("input", |input| {
        let text = input.text("url", LONGEST_URL);
        let text = input.require("url", text);
        input.ignore_rest();
        url(input, "url", &text?)
    });
    let format = form.object("output", |output| {
        let word = output.text("format", 16);
        output.ignore_rest();
        let Some(word) = word else { return Some(None) };
        let found = FORMATS.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            let known: Vec<_> = FORMATS.iter().map(|(known, _)| *known).collect();
            output.refuse("format", word.into(), format_args!("must be one of {}", known.join(", ")));
        }
        found.map(|(_, format)| Some(*format))
    });
    let format = format.flatten();
    if many && form_has(&input) {
        form.refuse_whole("takes either input or input_files, not both");
        return None;
    }
    let mut request = match mode.as_str() {
        "recipe" => {
            let refused = RefCell::new(Vec::new());
            let read = form.object("recipe", |form| {
                let read = recipe::read(form, format, &|message| refused.borrow_mut().push(message));
                form.ignore_rest();
                read
            });
            for message in refused.into_inner() {
                form.refuse("output.format", Value::Null, message);
            }
            form.value("ffmpeg");
            let read = form.require("recipe", read);
            by_recipe(form, read, input, &files)
        }
        "ffmpeg" => {
            let args = form.object("ffmpeg", |form| {
                let fits =
                    |text: &str| if text.len() <= LONGEST_ARG { Ok(text.to_owned()) } else { Err("is too long") };
                let args = form.texts("args", 1..=MOST_ARGS, fits);
                let args = form.require("args", args);
                form.ignore_rest();
                args
            });
            form.value("recipe");
            let args = form.require("ffmpeg", args);
            by_command(form, &args?, input, format, &files, unsupported)
        }
        _ => {
            form.refuse("mode", mode.into(), "must be recipe or ffmpeg");
            None
        }
    }?;
    let told = EventFilter::new(TOLD.iter().map(|kind| (*kind).to_owned()).collect());
    request.webhook = webhook.map(|url| WebhookRequest { url, events: told, headers: None, tls: None });
    Some(request)
}

const fn form_has(input: &Option<Url>) -> bool {
    input.is_some()
}

/// Takes a URL that a stranger wrote; whether it may be reached is judged where the policy is.
fn url(form: &Form, name: &str, text: &str) -> Option<Url> {
    let read = Url::parse(text);
    if let Err(error) = &read {
        // Never repeat what may hold a password.
        form.refuse(name, Value::Null, format_args!("must be an absolute URL such as https://example.com/a ({error})"));
    }
    read.ok()
}

/// The inputs of `input_files`, those with numbers in their order.
fn named_inputs(form: &Form, files: &Files) -> Option<Vec<NamedInput>> {
    let mut made = Vec::with_capacity(files.inputs.len());
    for (name, text) in &files.inputs {
        let path = format!("input_files.{name}");
        if name.len() > 64 || name == "input" || !is_input_name(name) || !plain(name) {
            form.refuse(&path, Value::Null, "must be named in_ and letters, digits or '_'");
        } else if let Some(url) = url(form, &path, text) {
            made.push(NamedInput { name: name.clone(), source: InputRequest::Url(url), headers: BTreeMap::new() });
        }
    }
    let number = |input: &NamedInput| input.name[3..].parse::<u32>().unwrap_or(u32::MAX);
    made.sort_by_key(|input| (number(input), input.name.clone()));
    (made.len() == files.inputs.len()).then_some(made)
}

fn plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn by_recipe(form: &Form, recipe: Option<Recipe>, input: Option<Url>, files: &Files) -> Option<JobRequest> {
    if !files.outputs.is_empty() {
        form.refuse("output_files", Value::Null, "goes with mode ffmpeg");
    }
    let joins = matches!(recipe, Some(Recipe::Concat(_)));
    let inputs = if joins {
        if files.inputs.len() < 2 {
            form.refuse("input_files", Value::Null, "must name at least two files for concat");
        }
        named_inputs(form, files)
    } else if !files.inputs.is_empty() {
        form.refuse("input_files", Value::Null, "goes with concat and with mode ffmpeg");
        None
    } else {
        form.require("input", input).map(|url| vec![NamedInput::only(InputRequest::Url(url))])
    };
    let outputs = vec![OutputRequest { name: ONLY.to_owned(), recipe: recipe? }];
    Some(JobRequest::new(Dialect::Xora, inputs?, outputs))
}

fn by_command(
    form: &Form,
    args: &[String],
    input: Option<Url>,
    format: Option<Format>,
    files: &Files,
    unsupported: &RefCell<Option<String>>,
) -> Option<JobRequest> {
    let many = !files.inputs.is_empty() || !files.outputs.is_empty();
    let inputs = if files.inputs.is_empty() {
        form.require("input", input).map(|url| vec![NamedInput::only(InputRequest::Url(url))])
    } else {
        named_inputs(form, files)
    };
    let mut outputs: Vec<(String, Format)> = Vec::new();
    if many && !files.outputs.is_empty() {
        for (name, file) in &files.outputs {
            match format_of(name, file) {
                Ok(format) => outputs.push((name.clone(), format)),
                Err(message) => form.refuse(&format!("output_files.{name}"), file.as_str().into(), message),
            }
        }
    } else {
        outputs.push((ONLY.to_owned(), format.unwrap_or(Format::Mp4)));
    }
    let command = match Command::parse(args) {
        Ok(command) => command,
        Err(refused) => {
            *unsupported.borrow_mut() = Some(refused.to_string());
            return None;
        }
    };
    let inputs = inputs?;
    let unknown = |kind: &str, name: &str| format!("names {{{{{name}}}}}, which is not an {kind} of the request");
    for name in command.inputs.iter().map(|input| &input.name) {
        if !inputs.iter().any(|input| input.name == *name) {
            form.refuse("ffmpeg.args", Value::Null, unknown("input", name));
        }
    }
    for name in command.outputs.iter().map(|output| &output.name) {
        if !outputs.iter().any(|(known, _)| known == name) {
            form.refuse("ffmpeg.args", Value::Null, unknown("output", name));
        }
    }
    let mut made = Vec::with_capacity(outputs.len());
    for (name, format) in outputs {
        let recipe = Ffmpeg { args: args.to_vec(), format, output: name.clone() };
        match recipe.check() {
            Ok(_) => made.push(OutputRequest { name, recipe: Recipe::Ffmpeg(recipe) }),
            Err((_, message)) => form.refuse(&format!("output_files.{name}"), Value::Null, message),
        }
    }
    let named: serde_json::Map<String, Value> =
        files.outputs.iter().map(|(name, file)| (name.clone(), file.as_str().into())).collect();
    let mut request = JobRequest::new(Dialect::Xora, inputs, made);
    request.said = json!({"files": named});
    Some(request)
}

/// The format of a file that a command writes, by its name.
fn format_of(name: &str, file: &str) -> Result<Format, String> {
    if name == ONLY || !is_output_name(name) || !plain(name) || name.len() > 64 {
        return Err("must be named out_ and letters, digits or '_'".to_owned());
    }
    let odd = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
    if file.chars().any(odd) || file.starts_with('.') || file.len() > 200 {
        return Err("must be a plain file name such as clip.mp4".to_owned());
    }
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let format = match extension.as_str() {
        "aac" => Some(Format::Adts),
        "m4a" => Some(Format::Aac),
        "jpeg" => Some(Format::Jpg),
        word => Format::from_word(word),
    };
    format.filter(|format| Ffmpeg::writes(*format)).ok_or_else(|| "must end in a format that is made here".to_owned())
}

/// A change of the settings: what is absent stays, null clears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsChange {
    /// Where the events of jobs go that bring no URL.
    pub webhook: Option<Option<Url>>,
    /// Where the outputs of jobs go.
    pub storage_provider: Option<Option<String>>,
}

impl SettingsChange {
    /// The webhook with the events that the service tells.
    pub fn webhook_of(url: Url) -> WebhookRequest {
        WebhookRequest {
            url,
            events: EventFilter::new(TOLD.iter().map(|kind| (*kind).to_owned()).collect()),
            headers: None,
            tls: None,
        }
    }
}

/// Reads `POST /v1/settings` and `PUT /v1/settings`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn settings(value: Value) -> Result<SettingsChange, Vec<Violation>> {
    Form::read(value, |form| {
        let clears = (form.is_null("defaultWebhookUrl"), form.is_null("defaultStorageProviderId"));
        let text = form.text("defaultWebhookUrl", LONGEST_URL);
        let webhook = text.and_then(|text| url(form, "defaultWebhookUrl", &text));
        let storage_provider = form.text("defaultStorageProviderId", 100);
        form.ignore_rest();
        Some(SettingsChange {
            webhook: if clears.0 { Some(None) } else { webhook.map(Some) },
            storage_provider: if clears.1 { Some(None) } else { storage_provider.map(Some) },
        })
    })
}
