//! Pictures: three levels, and never larger.

use reelhook_testkit::{field, verdict};
use serde_json::json;
use sha1::{Digest as _, Sha1};

use super::{check_result, photo, upload};
use crate::world::{Serve, World};

#[tokio::test]
async fn an_uploaded_picture_is_answered_with_its_result() {
    let world = World::start(Serve::dev()).await;
    let source = photo();
    let mut sizes = Vec::new();
    for compression in ["medium", "high", "ultra"] {
        let options = json!({"image": {"compression": compression}});
        let result = upload(&world, "photo.jpg", &source, Some(&options)).await.expect(200);
        for (key, expected) in [("name", "photo.jpeg"), ("type", "image"), ("format", "jpeg"), ("mime", "image/jpeg")] {
            assert_eq!(result["output"][key], expected);
        }
        assert_eq!(result["input"]["sha1"], hex::encode(Sha1::digest(&source)));
        sizes.push(check_result(&world, &result).await.len());
    }
    assert!(source.len() > sizes[0] && sizes[0] > sizes[1] && sizes[1] > sizes[2], "{} {sizes:?}", source.len());
    let options = json!({"image": {"resize": {"width": 64, "height": 64, "mode": "fit"}}});
    let result = upload(&world, "photo.jpg", &source, Some(&options)).await.expect(200);
    let small = check_result(&world, &result).await;
    assert!(small.len() < sizes[2]);
    // Made again, it cannot become smaller: it comes back as it is.
    let options = json!({"image": {"compression": "ultra"}});
    let again = upload(&world, "small.jpeg", &small, Some(&options)).await.expect(200);
    let first = check_result(&world, &again).await;
    let again = upload(&world, "small.jpeg", &first, Some(&options)).await.expect(200);
    assert!(again["output"]["size"].as_u64() <= again["input"]["size"].as_u64());
}

/// What the header of a picture says when it is shown.
fn size(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("picture");
    std::fs::write(&path, bytes).expect("the folder can be written to");
    let limits = reelhook_media::image::ImageLimits::default();
    let found = reelhook_media::image::inspect(&path, &limits).expect("a picture");
    format!("{} x {}, {} frames", found.width, found.height, found.frames)
}

#[tokio::test]
async fn pictures_of_the_field_come_back_as_they_are_seen() {
    let world = World::start(Serve::dev()).await;
    let cases = [
        ("M1 thumbnail of a portrait photo", "or6.jpg"),
        ("M2 an animated PNG", "ff.png"),
        ("M16 a TIFF of several pages", "t_multi.tif"),
        ("M17 a JPEG without its end", "jpg_noeoi.jpg"),
        ("M26 an icon of PNGs without alpha", "multi.ico"),
    ];
    for (kind, name) in cases {
        let source = std::fs::read(field(name)).expect("the field has it");
        let result = upload(&world, name, &source, None).await.expect(200);
        let made = check_result(&world, &result).await;
        let (before, after) = (size(&source), size(&made));
        verdict(kind, format!("{name} through Compressor"), &before, &after, before == after);
    }
    let source = std::fs::read(field("fake.dng")).expect("the field has it");
    let answer = upload(&world, "fake.dng", &source, None).await;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    verdict(
        "M11 camera RAW",
        "fake.dng through Compressor",
        "refused as a camera RAW image",
        format!("{}: {said}", answer.status),
        answer.status >= 400 && said.contains("RAW"),
    );
}
