//! Two accounts: what is one's is not there for the other.

use reelhook_testkit::clips::{self, Clip};
use serde_json::json;

use super::{JOBS, UPLOAD, code, create, data, parts, upload};
use crate::world::{Serve, World};

#[tokio::test]
async fn what_is_another_accounts_is_not_there() {
    let world = World::start(Serve::dev().set("open", "clipzy")).await;
    let video = upload(&world, &[]).await;
    let id = create(&world, &json!({"video_id": video})).await;

    let theirs = world.another_account().await;
    let as_them = [("authorization", theirs.as_str())];
    for path in [format!("{JOBS}/{id}"), format!("{JOBS}/{id}/result")] {
        assert_eq!(code(&world.get_with(&path, &as_them).await, 404), "NOT_FOUND", "{path}");
    }
    let canceled = world.post_with(&format!("{JOBS}/{id}/cancel"), &as_them, "{}").await;
    assert_eq!(code(&canceled, 404), "NOT_FOUND");
    let listed = data(&world.get_with(JOBS, &as_them).await);
    assert_eq!((&listed["jobs"], &listed["total"]), (&json!([]), &json!(0)));

    // Videos too, whether one is to be styled or is the template.
    let sending = [as_them[0], ("content-type", "multipart/form-data; boundary=edge")];
    let bytes = clips::bytes(Clip::Video);
    let own = data(&world.post_with(UPLOAD, &sending, parts(&[], Some(("clip.mp4", &bytes)))).await);
    for job in [json!({"video_id": video}), json!({"video_id": own["video_id"], "template_video_id": video})] {
        assert_eq!(code(&world.post_with(JOBS, &as_them, job.to_string()).await, 404), "NOT_FOUND", "{job}");
    }
    let texts = [("template_video_id", video.as_str())];
    let refused = world.post_with(UPLOAD, &sending, parts(&texts, Some(("clip.mp4", &bytes)))).await;
    assert_eq!(code(&refused, 404), "NOT_FOUND");

    // Who shows no key is the first account, where the service is open.
    let stranger = world.get_as_stranger(world.url(&format!("{JOBS}/{id}")), &[]).await;
    assert_ne!(data(&stranger)["status"], "cancelled");
}
