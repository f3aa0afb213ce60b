//! The services whose APIs we speak: one file each with its route table, over the desk's verbs.
//!
//! Refusals are made as everywhere (`Problem`) and put into the service's own words on their way out, so that a missing
//! key, a body that is too large or a path that does not exist looks as the service's client expects it.

mod clipzy;
mod compressor;
mod removebgvideo;
mod transcodely;
mod xora;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reelhook_domain::form::Choice;
use reelhook_domain::id::RequestId;
use reelhook_domain::job::Dialect;

use super::{no_such_method, no_such_path};
use crate::body::uncompressed;
use crate::desk::Desk;
use crate::problem::Problem;

/// Each service below a path of its name.
pub(super) fn nest(native: Router<Desk>) -> Router<Desk> {
    let services = Dialect::ALL.iter().filter(|dialect| **dialect != Dialect::Native);
    services.fold(native, |router, &service| router.nest(&format!("/{service}"), at_root(service)))
}

/// One service at the root.
pub(super) fn at_root(service: Dialect) -> Router<Desk> {
    let routes = match service {
        Dialect::Native => Router::new(),
        Dialect::Compressor => compressor::routes(),
        Dialect::Transcodely => transcodely::routes(),
        Dialect::Xora => xora::routes(),
        Dialect::Clipzy => clipzy::routes(),
        Dialect::RemoveBgVideo => removebgvideo::routes(),
    };
    routes
        .route_layer(middleware::from_fn(uncompressed))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(move |request, next| in_the_words_of(service, request, next)))
}

async fn in_the_words_of(service: Dialect, request: Request, next: Next) -> Response {
    let id: Option<RequestId> = request.extensions().get().copied();
    let mut response = next.run(request).await;
    let (Some(id), Some(problem)) = (id, response.extensions_mut().remove::<Problem>()) else { return response };
    let Some((status, body)) = reelhook_dialects::refusal(service, &problem.refusal(id)) else { return response };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
