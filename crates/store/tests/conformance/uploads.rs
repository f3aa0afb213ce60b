//! Uploads.

use std::time::Duration;

use reelhook_domain::job::InputSource;
use reelhook_store::{Submission, Upload};

use crate::conformance;
use crate::world::{World, is_not_found};

pub(crate) fn upload(world: &World) -> Upload {
    Upload {
        id: world.id(),
        account: world.account,
        name: "clip.mp4".to_owned(),
        size_bytes: 123,
        sha256: "ab".repeat(32),
        sha1: "cd".repeat(20),
        said: serde_json::json!({"template": "x"}),
        created_at: world.now(),
        expires_at: world.now() + Duration::from_secs(3600),
    }
}

async fn sent(world: &World) -> Upload {
    let upload = upload(world);
    world.store.create_upload(upload.clone()).await.unwrap();
    upload
}

conformance! {
    async fn an_upload_can_be_read_by_its_account_until_it_expires(world: &World) {
        let upload = sent(world).await;
        assert_eq!(world.store.upload(world.account, upload.id).await.unwrap(), upload);
        assert!(is_not_found(&world.store.upload(world.id(), upload.id).await));
        assert!(world.store.take_expired_uploads(10).await.unwrap().is_empty());
        world.pass(Duration::from_secs(3600));
        assert!(is_not_found(&world.store.upload(world.account, upload.id).await));
        assert_eq!(world.store.take_expired_uploads(10).await.unwrap(), [upload]);
        assert!(world.store.take_expired_uploads(10).await.unwrap().is_empty(), "taken once");
    }

    async fn an_upload_that_comes_with_its_job_is_kept_when_the_job_is(world: &World) {
        let upload = upload(world);
        let mut job = world.job(1);
        job.spec.inputs[0].source = InputSource::Upload(upload.id);
        let submission = Submission { upload: Some(upload.clone()), ..job.clone().into() };
        world.store.submit(submission.clone()).await.unwrap();
        assert_eq!(world.store.upload(world.account, upload.id).await.unwrap(), upload);
        // The id of a job cannot be used twice; then its upload is not kept either.
        let other = Upload { id: world.id(), ..upload };
        let twice = Submission { upload: Some(other.clone()), ..submission };
        assert!(world.store.submit(twice).await.is_err());
        assert!(is_not_found(&world.store.upload(world.account, other.id).await));
    }

    async fn an_upload_that_a_job_reads_is_not_taken(world: &World) {
        let upload = sent(world).await;
        let mut job = world.job(1);
        job.spec.inputs[0].source = InputSource::Upload(upload.id);
        let job = world.submit(job).await;
        world.pass(Duration::from_secs(7200));
        assert!(world.store.take_expired_uploads(10).await.unwrap().is_empty());
        world.store.cancel_job(world.account, job.id).await.unwrap();
        assert_eq!(world.store.take_expired_uploads(10).await.unwrap().len(), 1);
    }

    async fn no_more_uploads_are_taken_than_asked_for(world: &World) {
        for _ in 0..3 {
            sent(world).await;
        }
        world.pass(Duration::from_secs(7200));
        assert_eq!(world.store.take_expired_uploads(2).await.unwrap().len(), 2);
        assert_eq!(world.store.take_expired_uploads(2).await.unwrap().len(), 1);
    }

    async fn uploads_that_were_never_noted_are_told_from_those_that_were(world: &World) {
        let noted = sent(world).await.id;
        let never = world.id();
        assert_eq!(world.store.unknown_uploads(&[never, noted]).await.unwrap(), [never]);
        assert!(world.store.unknown_uploads(&[]).await.unwrap().is_empty());
    }
}
