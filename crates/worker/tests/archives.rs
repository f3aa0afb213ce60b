//! Journeys of archives: asked about like all others, and beside recipes that read no archives.

mod bench;

use bench::{Bench, compress, thumbnail};
use reelhook_domain::job::{JobState, OutputState};
use reelhook_media::archive::ArchiveLimits;
use reelhook_media::image::ImageLimits;
use reelhook_store::Jobs as _;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::field;
use serde_json::{Value, json};

/// A ZIP archive of a picture and a text.
fn zip() -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("logo.png", clips::bytes(Clip::Picture)), ("note.txt", b"plain words".to_vec())] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("a name is a name");
        writer.write_all(&bytes).expect("memory can be written to");
    }
    writer.finish().expect("memory can be written to").into_inner()
}

fn archive() -> Value {
    json!({"recipe": "archive", "level": "high"})
}

fn auto() -> Value {
    json!({"recipe": "auto", "image": {"level": "high"}, "video": {}})
}

#[tokio::test]
async fn a_job_of_archives_alone_waits_until_it_is_confirmed() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.start();
    let input = bench.upload("all.zip", zip()).await;
    let id = bench.submit_asking(input, &[archive(), archive()]).await;
    let asked = bench.until(id, |job| job.state.name() == "awaiting_confirmation" || job.state.is_terminal()).await;
    assert!(matches!(asked.state, JobState::AwaitingConfirmation { .. }), "{:?}", asked.state);
    assert_eq!(asked.inputs[0].media.as_ref().unwrap().format, "zip", "the caller sees what was found");
    let estimate = asked.estimate.expect("there is something to accept");
    assert_eq!((estimate.cost.amount, &estimate.cost.outputs[..]), (0.0, &[0.0, 0.0][..]));
    assert_eq!(estimate.size_bytes, 2 * zip().len() as u64);
    assert!(asked.outputs.iter().all(|output| output.file.is_none()));
    assert_eq!(bench.events(id).await, ["job.created", "job.awaiting_confirmation"]);

    bench.store.confirm_job(bench.account, id).await.unwrap();
    let job = bench.ended(id).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    assert_eq!(bench.events(id).await[2..], ["job.started", "job.completed"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn an_archive_is_made_beside_a_recipe_that_reads_none() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("all.zip", zip()).await;
    let picture = json!({"recipe": "image", "level": "high"});
    let id = bench.submit(input, &[compress(), archive(), picture, auto()]).await;
    let job = bench.ended(id).await;
    assert!(matches!(job.state, JobState::Partial { .. }), "{:?}", job.state);
    let states: Vec<_> = job.outputs.iter().map(|output| output.state).collect();
    use OutputState::{Completed, Failed};
    assert_eq!(states, [Failed, Completed, Failed, Completed]);
    for (place, recipe) in [(0, "compress"), (2, "image")] {
        let error = job.outputs[place].error.as_ref().unwrap();
        assert_eq!(error.code, "unsupported_media");
        let said = format!("the input is a zip archive; {recipe} does not read archives, archive and auto do");
        assert_eq!(error.message, said);
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn what_is_no_archive_goes_to_the_recipes_that_read_it() {
    let mut bench = Bench::new().await;
    bench.start();
    let (clip, picture) = (clips::bytes(Clip::Silent), clips::bytes(Clip::Picture));
    for (name, bytes, other) in [("clip.mp4", clip, thumbnail()), ("logo.png", picture, auto())] {
        let input = bench.upload(name, bytes).await;
        let id = bench.submit(input, &[archive(), other]).await;
        let job = bench.ended(id).await;
        assert!(matches!(job.state, JobState::Partial { .. }), "{name}: {:?}", job.state);
        assert_eq!(job.outputs[1].state, OutputState::Completed, "{name}");
        let error = job.outputs[0].error.as_ref().unwrap();
        assert_eq!(
            (error.code.as_str(), error.message.contains("not an archive")),
            ("unsupported_media", true),
            "{name}"
        );
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn where_no_output_reads_the_input_the_job_is_rejected() {
    let mut bench = Bench::new().await;
    bench.start();
    for (name, bytes, recipe) in [("all.zip", zip(), compress()), ("logo.png", clips::bytes(Clip::Picture), archive())]
    {
        let input = bench.upload(name, bytes).await;
        let id = bench.submit(input, &[recipe]).await;
        let JobState::Rejected { error } = bench.ended(id).await.state else { panic!("{name} was not rejected") };
        assert_eq!((error.code.as_str(), error.message.contains("archive")), ("unsupported_media", true), "{error:?}");
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn archives_of_other_kinds_are_refused_by_name() {
    let mut bench = Bench::new().await;
    bench.start();
    for (bytes, said) in
        [(&b"7z\xBC\xAF\x27\x1C\0\x04"[..], "a 7-zip archive"), (b"Rar!\x1A\x07\x01\0", "a RAR archive")]
    {
        for recipe in [archive(), auto(), compress()] {
            let input = bench.upload("photos", bytes.to_vec()).await;
            let id = bench.submit(input, &[recipe]).await;
            let JobState::Rejected { error } = bench.ended(id).await.state else { panic!("{said} was not rejected") };
            let named = error.message.contains(said) && error.message.contains("not supported");
            assert_eq!((error.code.as_str(), named), ("unsupported_media", true), "{error:?}");
        }
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn names_in_a_code_page_come_through_a_job_of_every_format() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.start();
    let bytes = std::fs::read(field("zip_sjis.zip")).unwrap();
    let input = bench.upload("all.zip", bytes).await;
    let formats = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"];
    let recipes: Vec<_> = formats.map(|format| json!({"recipe": "archive", "level": "high", "format": format})).into();
    let id = bench.submit(input, &recipes).await;
    let job = bench.ended(id).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    for (output, format) in job.outputs.iter().zip(formats) {
        let file = output.file.as_ref().unwrap();
        assert_eq!((&*file.media.format, file.name.ends_with(&format!(".{format}"))), (format, true), "{}", file.name);
        let name = &output.receipt["members"][0]["name"];
        assert_eq!(name, "ô·û{îΩ.jpg", "as the format has it read");
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn the_limits_of_the_settings_are_kept_by_pictures_and_archives() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.image = ImageLimits { pixels: 320 * 180 - 1, ..ImageLimits::default() };
    bench.archive = ArchiveLimits { entries: 1, ..ArchiveLimits::default() };
    bench.start();
    let picture = json!({"recipe": "image", "level": "high"});
    let expected = [
        ("logo.png", clips::bytes(Clip::Picture), picture, "too_many_pixels", "57599"),
        ("all.zip", zip(), archive(), "over_limit", "more than 1 members"),
    ];
    for (name, bytes, recipe, code, said) in expected {
        let input = bench.upload(name, bytes).await;
        let id = bench.submit(input, &[recipe]).await;
        let JobState::Rejected { error } = bench.ended(id).await.state else { panic!("{name} was not rejected") };
        assert_eq!((error.code.as_str(), error.message.contains(said)), (code, true), "{error:?}");
    }
    bench.stop_and_look().await;
}
