//! Archives: each member made smaller by its kind, or kept.

use reelhook_testkit::clips::{self, Clip};
use serde_json::json;

use super::{check_result, ended, photo, upload};
use crate::world::{Serve, World};

/// A ZIP file of those members.
pub(super) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a name is a name");
        writer.write_all(bytes).expect("memory can be written to");
    }
    writer.finish().expect("memory can be written to").into_inner()
}

#[tokio::test]
async fn an_archive_comes_back_with_smaller_members_under_their_names() {
    use std::io::Read as _;
    let world = World::start(Serve::dev()).await;
    let (photo, video) = (photo(), clips::bytes(Clip::Video));
    let members: [(&str, &[u8]); 4] =
        [("a/photo.jpg", &photo), ("clip.mp4", &video), ("note.txt", b"plain words"), ("broken.jpg", &photo[..600])];
    let enqueued = upload(&world, "all.zip", &zip_of(&members), None).await.expect(202);
    assert_eq!(enqueued["status"], "enqueued");
    let result = ended(&world, enqueued["id"].as_str().unwrap()).await;
    assert_eq!(result["status"], "completed", "{result:#}");
    for (key, expected) in [("name", "all.zip"), ("type", "archive"), ("format", "zip"), ("mime", "application/zip")] {
        assert_eq!(result["output"][key], expected);
    }
    let told: Vec<_> =
        result["members"].as_array().unwrap().iter().map(|m| (&m["name"], &m["kind"], &m["state"])).collect();
    let expected = json!([
        ["a/photo.jpg", "image", "compressed"],
        ["clip.mp4", "video", "compressed"],
        ["note.txt", "other", "kept"],
        ["broken.jpg", "image", "failed"]
    ]);
    assert_eq!(json!(told), expected, "{result:#}");
    let made = check_result(&world, &result).await;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(made)).unwrap();
    assert_eq!(archive.len(), members.len());
    for (index, (name, bytes)) in members.iter().enumerate() {
        let mut member = archive.by_index(index).unwrap();
        assert_eq!(member.name().unwrap(), *name);
        let mut found = Vec::new();
        member.read_to_end(&mut found).unwrap();
        match index {
            0 | 1 => assert!(found.len() < bytes.len()),
            _ => assert_eq!(&found, bytes, "{name}"),
        }
    }
}

#[tokio::test]
async fn an_archive_with_a_trap_is_refused_and_the_member_named() {
    let world = World::start(Serve::dev()).await;
    let trap = zip_of(&[("fine.txt", b"x"), ("../../etc/cron.d/x", b"x")]);
    let answer = upload(&world, "trap.zip", &trap, None).await;
    let error = answer.expect(422);
    assert_eq!(error["error"]["code"], "archive_not_safe");
    assert!(error["error"]["message"].as_str().unwrap().contains("../../etc/cron.d/x"), "{error}");
}
