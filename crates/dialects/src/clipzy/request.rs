//! What callers of Clipzy may say. Fields that the service does not document are ignored: its `config` is an object of
//! anything.

use std::collections::BTreeMap;

use reelhook_domain::form::{Form, Violation};
use reelhook_domain::id::UploadId;
use reelhook_domain::job::Dialect;
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Format, Quality, Recipe, Style, VideoCodec};
use serde_json::{Value, json};
use url::Url;

use super::{OUTPUT, TEMPLATE, event, video_id, video_of};
use crate::{InputRequest, JobRequest, NamedInput, OutputRequest, WebhookRequest};

/// Formats of videos that are taken, which are also the extensions of their names.
pub const TAKEN: &[&str] = &["mp4", "mov", "avi", "mkv", "webm"];
const LONGEST_URL: usize = 4096;
const LONGEST_ID: usize = 64;

/// What an upload says besides its bytes: what jobs of it do where they say nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The video whose style is taken.
    pub template: Option<UploadId>,
    /// Where the end of a job is told.
    pub webhook: Option<Url>,
}

impl Defaults {
    /// Reads the parts of an upload, or the fields of the same names of a job.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(value: Value) -> Result<Self, Vec<Violation>> {
        Form::read(value, |form| {
            let read = Self::of(form);
            form.ignore_rest();
            Some(read)
        })
    }

    fn of(form: &mut Form) -> Self {
        Self { template: video(form, "template_video_id"), webhook: webhook(form) }
    }

    /// As it is kept with the upload, beside what the upload holds.
    pub fn said(&self, media: Option<&MediaInfo>) -> Value {
        json!({"template_video_id": self.template.map(video_id), "webhook_url": self.webhook, "media": media})
    }

    /// What [`Self::said`] kept.
    pub fn kept(said: &Value) -> Self {
        Self {
            template: said["template_video_id"].as_str().and_then(video_of),
            webhook: said["webhook_url"].as_str().and_then(|url| url.parse().ok()),
        }
    }
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// Of which video.
    pub video: UploadId,
    /// What it says itself, before what the upload said.
    pub own: Defaults,
    quality: Quality,
}

/// Reads `POST /api/v1/jobs`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn job(value: Value) -> Result<Create, Vec<Violation>> {
    Form::read(value, |form| {
        let video = video(form, "video_id");
        let video = form.require("video_id", video);
        let own = Defaults::of(form);
        let quality = form.object("config", |form| {
            let quality = quality(form);
            if let Some(format) = form.text("output_format", 32).filter(|format| format != "mp4") {
                form.refuse("output_format", format.into(), "must be mp4");
            }
            form.ignore_rest();
            Some(quality)
        });
        form.ignore_rest();
        Some(Create { video: video?, own, quality: quality.unwrap_or(Quality::Standard) })
    })
}

impl Create {
    /// The job, over what its upload said: each of the two is the job's own where it says one.
    pub fn over(self, uploaded: Defaults) -> JobRequest {
        let template = self.own.template.or(uploaded.template);
        let webhook = self.own.webhook.or(uploaded.webhook);
        let mut inputs = vec![NamedInput::only(InputRequest::Upload(self.video))];
        inputs.extend(template.map(|upload| NamedInput {
            name: TEMPLATE.to_owned(),
            source: InputRequest::Upload(upload),
            headers: BTreeMap::new(),
        }));
        let style = Style {
            template: template.map(|_| TEMPLATE.to_owned()),
            quality: self.quality,
            format: Format::Mp4,
            codec: VideoCodec::H264,
        };
        let outputs = vec![OutputRequest { name: OUTPUT.to_owned(), recipe: Recipe::Style(style) }];
        let mut request = JobRequest::new(Dialect::Clipzy, inputs, outputs);
        request.webhook = webhook.map(|url| WebhookRequest { url, events: event::told(), headers: None, tls: None });
        request
    }
}

/// Spells a path of the native API as this service calls the field.
pub fn spelled(path: &str) -> String {
    match path {
        "webhook.url" => "webhook_url".to_owned(),
        "input.upload" | "inputs[0].upload" => "video_id".to_owned(),
        "inputs[1].upload" => "template_video_id".to_owned(),
        other => other.to_owned(),
    }
}

fn quality(form: &mut Form) -> Quality {
    match form.text("quality", 32).as_deref() {
        Some("low") => Quality::Economy,
        None | Some("medium") => Quality::Standard,
        Some("high") => Quality::Premium,
        Some(other) => {
            form.refuse("quality", other.into(), "must be one of low, medium, high");
            Quality::Standard
        }
    }
}

/// Takes a video's id. One that is spelled otherwise names no video, as one that is not there does.
fn video(form: &mut Form, name: &'static str) -> Option<UploadId> {
    let text = form.text(name, LONGEST_ID).filter(|text| !text.is_empty())?;
    Some(video_of(&text).unwrap_or(UploadId::from_bits(0)))
}

/// Takes the webhook's URL; an empty text is none.
fn webhook(form: &mut Form) -> Option<Url> {
    let text = form.text("webhook_url", LONGEST_URL).filter(|text| !text.is_empty())?;
    match Url::parse(&text) {
        Ok(url) => Some(url),
        // Never repeat what may hold a password.
        Err(error) => {
            let message = format!("must be an absolute URL such as https://example.com/hook ({error})");
            form.refuse("webhook_url", Value::Null, message);
            None
        }
    }
}
