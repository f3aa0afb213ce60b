//! Verbs of origins.

use reelhook_dialects::OriginRequest;
use reelhook_domain::id::OriginId;
use reelhook_domain::origin::{Credentials, Origin, OriginStatus, Place};
use reelhook_files::OpenOrigin;
use reelhook_store::OriginChange;
use serde_json::Value;

use super::{Caller, Desk, all_right};
use crate::problem::{Problem, missing};

impl Desk {
    /// Keeps an origin, checked: one that cannot be used is kept too, and says why.
    pub(crate) async fn create_origin(&self, caller: Caller, request: OriginRequest) -> Result<Origin, Problem> {
        let (origin, credentials) = self.checked(caller, self.ambient().id(), request).await?;
        self.store().create_origin(origin.clone(), credentials).await?;
        Ok(origin)
    }

    /// Keeps what is said anew of an origin, checked like a new one.
    pub(crate) async fn change_origin(
        &self,
        caller: Caller,
        id: OriginId,
        request: OriginRequest,
    ) -> Result<Origin, Problem> {
        let (origin, credentials) = self.checked(caller, id, request).await?;
        let change = OriginChange::Said(Box::new(origin), credentials);
        self.store().change_origin(caller.account, id, change).await.map_err(missing("origin"))
    }

    /// An origin that was not archived, and what opens it.
    pub(crate) async fn origin_with_credentials(
        &self,
        caller: Caller,
        id: OriginId,
    ) -> Result<(Origin, Credentials), Problem> {
        let origin = self.store().origin(caller.account, id).await.map_err(missing("origin"))?;
        if origin.status == OriginStatus::Archived {
            return Err(Problem::conflict("origin_archived", "the origin was deleted; its credentials are gone"));
        }
        let credentials = self.store().origin_credentials(caller.account, id).await.map_err(missing("origin"))?;
        Ok((origin, credentials))
    }

    /// An origin as it was asked for, looked at.
    async fn checked(
        &self,
        caller: Caller,
        id: OriginId,
        request: OriginRequest,
    ) -> Result<(Origin, Credentials), Problem> {
        let OriginRequest { name, place, credentials, permissions, base_path, path_template } = request;
        let address = match &place {
            Place::Http { base_url } => Some(("http.base_url", base_url)),
            Place::S3 { endpoint, .. } => endpoint.as_ref().map(|endpoint| ("s3.endpoint", endpoint)),
            Place::R2 { endpoint, .. } => Some(("r2.endpoint", endpoint)),
            Place::Gcs { .. } => None,
        };
        all_right(address.and_then(|(path, url)| self.judge(path, url)))?;
        let now = self.ambient().now();
        let mut origin = Origin {
            id,
            account: caller.account,
            name,
            place,
            permissions,
            base_path,
            path_template,
            status: OriginStatus::Active,
            validation: None,
            created_at: now,
            updated_at: now,
        };
        let opened = OpenOrigin::open(&origin, credentials.clone(), self.egress()).map_err(|error| {
            let path = format!("{}.credentials", origin.place.provider());
            Problem::violation(&path, Value::Null, error.to_string())
        })?;
        let validation = opened.validate(now).await;
        origin.status = validation.status();
        origin.validation = Some(validation);
        Ok((origin, credentials))
    }

    /// Checks an origin again; what comes of it decides its status.
    pub(crate) async fn validate_origin(&self, caller: Caller, id: OriginId) -> Result<Origin, Problem> {
        let (origin, credentials) = self.origin_with_credentials(caller, id).await?;
        let opened = OpenOrigin::open(&origin, credentials, self.egress()).map_err(|error| {
            tracing::error!(origin.id = %id, error = &error as &dyn std::error::Error, "a stored origin cannot be opened");
            Problem::internal()
        })?;
        let validation = opened.validate(self.ambient().now()).await;
        let change = OriginChange::Validated(validation);
        self.store().change_origin(caller.account, id, change).await.map_err(missing("origin"))
    }
}
