//! Two accounts: what is one's is not there for the other.

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use serde_json::{Value, json};

use super::refusals::{assert_refused, fields, video};
use super::{JOBS, ORIGINS, call, id};
use crate::world::{Serve, World};

#[tokio::test]
async fn what_is_another_accounts_is_not_there() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let job = call(&world, "Create", &json!({"input_url": input, "delayed_start": true, "outputs": video()})).await;
    let place = json!({
        "name": "in", "provider": "http", "permissions": ["read"], "http": {"base_url": origin.url("/")},
    });
    let kept = world.post(&format!("{ORIGINS}/Create"), &place).await.expect(200);

    let key = world.another_account().await;
    let as_them =
        async |path: String, body: Value| world.post_with(&path, &[("authorization", &key)], body.to_string()).await;

    let theirs = as_them(format!("{JOBS}/List"), json!({})).await.expect(200);
    assert_eq!(theirs, json!({"jobs": [], "pagination": {"next_cursor": "", "total_count": 0}}));
    for method in ["Get", "Cancel", "Confirm", "Watch"] {
        let answer = as_them(format!("{JOBS}/{method}"), json!({"id": job["id"]})).await;
        assert_refused(&answer, 404, "not_found", "not_found");
    }
    let theirs = as_them(format!("{ORIGINS}/List"), json!({})).await.expect(200);
    assert_eq!(theirs["origins"], json!([]));
    for method in ["Get", "Validate", "Archive"] {
        let answer = as_them(format!("{ORIGINS}/{method}"), json!({"id": kept["origin"]["id"]})).await;
        assert_refused(&answer, 404, "not_found", "not_found");
    }
    let borrowed = json!({"input_origin_id": kept["origin"]["id"], "input_path": "in.mp4", "outputs": video()});
    assert_eq!(fields(&as_them(format!("{JOBS}/Create"), borrowed).await), ["input_origin_id"]);
    assert_ne!(call(&world, "Get", &json!({"id": id(&job)})).await["status"], "canceled");
}
