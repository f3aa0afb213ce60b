//! `/v1/origins`.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use http::StatusCode;
use reelhook_dialects::native::origin::{OriginReply, ValidationReply, read};
use reelhook_store::OriginChange;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Query, id, next_cursor};
use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::{Problem, missing};

/// Origins of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginList {
    /// Newest first.
    origins: Vec<OriginReply>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Create an origin
///
/// An origin is a bucket or server that this server may read or write. It is checked at once: an object named
/// `reelhook-check` is written below the base path and removed. An origin that fails the check is created anyway, with the
/// status `failed` and the reason. Credentials are encrypted and never shown.
#[utoipa::path(post, path = "/v1/origins", tag = "Origins", request_body = openapi::OriginRequest,
    responses((status = 201, body = OriginReply), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create_origin(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<OriginReply>), Problem> {
    let request = read(json.value, &desk).map_err(Problem::invalid)?;
    let origin = desk.create_origin(caller, request).await?;
    Ok((StatusCode::CREATED, Json(OriginReply::of(&origin))))
}

/// List origins
///
/// Deleted origins are not listed.
#[utoipa::path(get, path = "/v1/origins", tag = "Origins",
    params(("limit" = Option<u32>, Query, description = "1 to 100, 20 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page")),
    responses((status = 200, body = OriginList), (status = 422, body = Problem)))]
pub(crate) async fn list_origins(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<OriginList>, Problem> {
    let mut query = Query::of(&uri);
    let page = query.page();
    query.finish()?;
    let origins = desk.store().list_origins(caller.account, page).await?;
    let next_cursor = next_cursor(page, origins.len(), origins.last().map(|origin| origin.id));
    Ok(Json(OriginList { origins: origins.iter().map(OriginReply::of).collect(), next_cursor }))
}

/// Get an origin
///
/// A deleted origin is shown as `archived`, because earlier jobs refer to it.
#[utoipa::path(get, path = "/v1/origins/{id}", tag = "Origins", params(("id" = String, Path)),
    responses((status = 200, body = OriginReply), (status = 404, body = Problem)))]
pub(crate) async fn get_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<Json<OriginReply>, Problem> {
    let origin = desk.store().origin(caller.account, id(&origin, "origin")?).await.map_err(missing("origin"))?;
    Ok(Json(OriginReply::of(&origin)))
}

/// Delete an origin
///
/// The credentials are erased at once, and no job can use the origin any more. The objects in it are not touched.
#[utoipa::path(delete, path = "/v1/origins/{id}", tag = "Origins", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<StatusCode, Problem> {
    let origin = id(&origin, "origin")?;
    desk.store().change_origin(caller.account, origin, OriginChange::Archived).await.map_err(missing("origin"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Validate an origin
///
/// Checks the permitted uses of the origin again, and sets its status by the result.
#[utoipa::path(post, path = "/v1/origins/{id}/validate", tag = "Origins", params(("id" = String, Path)),
    responses((status = 200, body = ValidationReply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn validate_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<Json<ValidationReply>, Problem> {
    let origin = desk.validate_origin(caller, id(&origin, "origin")?).await?;
    let validation = origin.validation.as_ref().map(ValidationReply::of);
    validation.map(Json).ok_or_else(Problem::internal)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use reelhook_egress::{Client, Policy, Settings, SystemResolver};
    use reelhook_files::{Files, Links};
    use reelhook_store::sqlite::SqliteStore;
    use reelhook_store::{Accounts as _, MasterKey, NewApiKey};
    use reelhook_testkit::{Manners, Origin};
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::desk::{Limits, Parts};
    use crate::routes::{Face, router};

    struct Server {
        router: Router,
        key: String,
        _folder: tempfile::TempDir,
    }

    impl Server {
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (ambient, _clock) = reelhook_testkit::ambient();
            let path = folder.path().join("reelhook.db");
            let store = SqliteStore::open(&path, MasterKey::new(1, [7; 32]), ambient.clone()).await.unwrap();
            let account = store.first_account().await.unwrap().id;
            let (key, kept) = NewApiKey::generate(account, "test", &ambient);
            store.create_key(kept).await.unwrap();
            let settings = Settings { policy: Policy::development(), ..Settings::default() };
            let desk = Desk::new(Parts {
                store,
                files: Files::local(folder.path(), ambient.clone()).unwrap(),
                links: Links::new("http://127.0.0.1/".parse().unwrap(), [7; 32]),
                link_to: Arc::new(|_| String::new()),
                policy: Policy::development(),
                egress: Client::new(settings, Arc::new(SystemResolver)).unwrap(),
                planner: Arc::new(|_, _| Box::pin(async { Err(Problem::internal()) })),
                prices: reelhook_domain::price::PriceTable::default(),
                ambient,
                services: crate::Services::default(),
                measures: Arc::new(Vec::new),
                tracer: reelhook_domain::trace::Tracer::default(),
                lookout: Arc::new(|_| Box::pin(async { std::collections::HashMap::new() })),
                limits: Limits::default(),
                hosts: crate::Hosts::any(),
            });
            Self { router: router(desk, Face::All), key, _folder: folder }
        }

        async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("authorization", format!("Bearer {}", self.key));
            let request = request.header("content-type", "application/json");
            let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
            let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
            let status = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&bytes).unwrap_or_default())
        }
    }

    #[tokio::test]
    async fn an_origin_is_checked_shown_without_credentials_checked_again_and_deleted() {
        let (server, web) = (Server::start().await, Origin::start().await);
        let credentials = json!({"headers": {"authorization": "in-the-clear"}});
        let request =
            json!({"name": "in", "http": {"base_url": web.url("/in"), "credentials": credentials}, "base_path": "a/"});
        let (status, made) = server.ask("POST", "/v1/origins", Some(request)).await;
        assert_eq!((status, &made["status"], &made["provider"]), (201, &json!("active"), &json!("http")));
        assert_eq!((&made["validation"]["success"], &made["validation"]["can_read"]), (&json!(true), &json!(true)));
        assert_eq!(web.requests()[0].headers["authorization"], "in-the-clear", "the check used them");
        let at = format!("/v1/origins/{}", made["id"].as_str().unwrap());
        assert_eq!(server.ask("GET", &at, None).await, (200, made.clone()));
        assert_eq!(server.ask("GET", "/v1/origins", None).await.1["origins"], json!([made]));
        assert!(!made.to_string().contains("clear"));

        web.put("/in/a/reelhook-check", "", Manners::Status(403));
        let (status, checked) = server.ask("POST", &format!("{at}/validate"), None).await;
        assert_eq!((status, &checked["success"]), (200, &json!(false)));
        assert!(checked["read_error"].as_str().unwrap().contains("403"), "{checked}");
        assert_eq!(server.ask("GET", &at, None).await.1["status"], "failed");

        assert_eq!(server.ask("DELETE", &at, None).await.0, 204);
        assert_eq!(server.ask("GET", &at, None).await.1["status"], "archived");
        assert_eq!(server.ask("DELETE", &at, None).await.0, 404);
        let (status, refused) = server.ask("POST", &format!("{at}/validate"), None).await;
        assert_eq!((status, &refused["code"]), (409, &json!("origin_archived")));
        assert_eq!(server.ask("GET", "/v1/origins", None).await.1["origins"], json!([]));
    }

    #[tokio::test]
    async fn an_endpoint_that_the_policy_does_not_let_us_reach_makes_no_origin() {
        let server = Server::start().await;
        let credentials = json!({"access_key_id": "AKID", "secret_access_key": "in-the-clear"});
        let place =
            |endpoint| json!({"bucket": "media", "region": "auto", "endpoint": endpoint, "credentials": credentials});
        for endpoint in ["https://10.0.0.7:9000", "http://169.254.169.254", "file:///etc/passwd"] {
            let request = json!({"name": "in", "s3": place(endpoint)});
            let (status, refused) = server.ask("POST", "/v1/origins", Some(request)).await;
            assert_eq!((status, &refused["violations"][0]["path"]), (422, &json!("s3.endpoint")), "{refused}");
            assert!(!refused.to_string().contains("clear"));
        }
        assert_eq!(server.ask("GET", "/v1/origins", None).await.1["origins"], json!([]));
    }
}
