//! The body of every event that the service tells of, and silence about the others.

use reelhook_domain::event::EventType;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, EventId, JobId};
use reelhook_domain::job::{JobState, OutputFile};
use reelhook_domain::time::Timestamp;

use super::*;
use crate::Link;
use crate::removebgvideo::reply::{JobReply, accepted, pricing};
use crate::removebgvideo::request::{Terms, job as read};

const AT: Timestamp = Timestamp::from_millis(1_750_000_000_123);

fn link(link: Link<'_>) -> String {
    match link {
        Link::File { job, output, path } => format!("https://media.example/files/proof/{job}/{output}/{path}"),
        other => panic!("{other:?}"),
    }
}

fn job(state: JobState) -> Job {
    let terms = Terms {
        models: [("original".to_owned(), "chroma".to_owned())].into(),
        installed: vec!["chroma".to_owned()],
        credits_per_minute: [("original".to_owned(), 60)].into(),
    };
    let asked = json!({"video_url": "https://example.com/clip.mp4", "metadata": {"order": 7}});
    let request = read(asked, &terms).unwrap();
    let spec = serde_json::from_value(json!({
        "inputs": [{"name": "input", "source": {"url": "https://example.com/clip.mp4"}}],
        "outputs": [{"id": "out_00000000000000000000000001", "name": "output",
            "recipe": "remove_background", "model": "chroma", "background": {"type": "transparent"}, "format": "webm"}],
        "webhook": null, "metadata": {}, "priority": "standard", "on_damage": "strict", "dialect": "removebgvideo",
        "credit_rate": 60, "said": request.said,
    }));
    let mut job = Job::new(JobId::from_bits(9), AccountId::from_bits(1), spec.unwrap(), AT);
    let media: reelhook_domain::media::MediaInfo =
        serde_json::from_value(json!({"format": "webm", "duration_seconds": 2.0, "video": null, "audio": null}))
            .unwrap();
    if matches!(state, JobState::Completed | JobState::Partial { .. }) {
        job.outputs[0].file = Some(OutputFile {
            name: "output.webm".to_owned(),
            key: String::new(),
            size_bytes: 9,
            sha256: String::new(),
            sha1: String::new(),
            mime_type: "video/webm".to_owned(),
            media: media.clone(),
            parts: Vec::new(),
            destination_url: None,
        });
        job.inputs =
            serde_json::from_value(json!([{"name": "clip.mp4", "size_bytes": 5, "sha256": "", "media": media}]))
                .unwrap();
        job.finished_at = Some(AT);
        job.progress = 100;
    }
    job.state = state;
    job
}

fn states() -> [JobState; 8] {
    let error =
        JobFailure::request(Stage::Probing, "insufficient_credits", "the job takes 2 credits and the account has 1");
    [
        JobState::Draft,
        JobState::Queued,
        JobState::Processing,
        JobState::Completed,
        JobState::Partial { error: error.clone() },
        JobState::Failed { error: error.clone() },
        JobState::Rejected { error },
        JobState::Canceled,
    ]
}

#[test]
fn bodies_are_the_documented_ones() {
    let mut said = String::new();
    for state in states() {
        let Some(kind) = EventType::of_job(&state) else { continue };
        let job = job(state);
        let event = Event {
            id: EventId::from_bits(1),
            sequence: 1,
            account: job.account,
            kind: kind.clone(),
            at: AT,
            job: Some(job.id),
            data: reelhook_domain::event::Data::of(&job),
        };
        let body = payload(&event, &link).unwrap();
        said += &format!("{kind}: {}\n", body.as_deref().unwrap_or("not told"));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn jobs_are_shown_as_documented() {
    let mut said = String::new();
    for state in states() {
        let job = job(state);
        said += &format!("{}\n{}\n\n", json!(JobReply::of(&job, &link)), accepted(&job));
    }
    said += &pricing(&Terms {
        installed: vec!["chroma".to_owned()],
        credits_per_minute: [("original".to_owned(), 60)].into(),
        ..Terms::default()
    })
    .to_string();
    insta::assert_snapshot!(said);
}
