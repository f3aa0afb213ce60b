//! Pictures: three levels, and never larger.

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
