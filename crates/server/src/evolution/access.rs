//! Who is calling, in this dialect: the header `apikey` with a key of the server, or with the key of one
//! instance, which is good for that instance alone.
//!
//! The key comes before everything: without a good one nobody learns which instances there are. The path
//! names the instance; what the query says about it counts for nothing.

use super::refusal::Refusal;
use crate::app::AppState;
use crate::auth::{Authenticated, single};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::account::Scope;
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::{Caller, Client, Credential, InstanceView, ServiceError};
use serde_json::json;

/// Who sent the key that is in the headers, when it is good for `scope`; the answer to everybody else.
pub(crate) async fn recognise(
    state: &AppState,
    (headers, client): (&HeaderMap, &Client),
    scope: Scope,
) -> Result<Caller, Box<Response>> {
    let refused = |refusal: Refusal| Box::new(refusal.into_response());
    let key = single(headers, "apikey");
    let found = match key {
        Some(key) => {
            let found = state.gateway.accounts().by_key(key, client).await;
            found.map_err(|error| refused(error.into()))?
        }
        None => None,
    };
    match found {
        Some(caller) if caller.may(scope) => Ok(caller),
        Some(_) => Err(refused(Refusal::forbidden(format!(
            "This needs a key with the scope \"{}\".",
            scope.as_str()
        )))),
        None => Err(refused(Refusal::unauthorized())),
    }
}

/// Who asks too often waits.
pub(crate) fn too_many(wait: u32) -> Response {
    let sentence = format!("Too many requests. Wait {wait} seconds.");
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!([sentence]));
    let mut response = refusal.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, wait.into());
    response
}

/// Somebody with a good key. The guard before the route has recognised them.
#[derive(Debug, Clone)]
pub(crate) struct Access(pub(super) Caller);

impl Access {
    /// The instance of that name. The key of another one is as good as none.
    pub(super) async fn instance(self, state: &AppState, name: &str) -> Result<Held, Refusal> {
        let missing = |caller: &Caller| match caller.credential {
            Credential::Instance(_) => Refusal::unauthorized(),
            _ => Refusal::no_instance(name),
        };
        let Ok(known) = name.parse() else { return Err(missing(&self.0)) };
        match state.gateway.instances().get(&self.0, &known).await {
            Ok(view) => Ok(Held { caller: self.0, name: view.name.clone(), view }),
            Err(ServiceError::InstanceNotFound) => Err(missing(&self.0)),
            Err(error) => Err(error.into()),
        }
    }
}

impl FromRequestParts<AppState> for Access {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Refusal> {
        let admitted = parts.extensions.get::<Authenticated>().cloned();
        admitted.map(|Authenticated(caller)| Self(caller)).ok_or_else(Refusal::unauthorized)
    }
}

/// Somebody with a key of the server, not of one instance.
#[derive(Debug, Clone)]
pub(crate) struct Everywhere(pub(super) Caller);

impl FromRequestParts<AppState> for Everywhere {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let Access(caller) = Access::from_request_parts(parts, state).await?;
        if caller.only.is_some() { Err(Refusal::unauthorized()) } else { Ok(Self(caller)) }
    }
}

/// The instance that the path names, and somebody who may use it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(super) caller: Caller,
    pub(super) name: InstanceName,
    pub(super) view: InstanceView,
}

impl FromRequestParts<AppState> for Held {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let access = Access::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Refusal::no_instance(""))?;
        let name = params.iter().find(|(name, _)| *name == "name").map(|(_, value)| value);
        access.instance(state, name.unwrap_or_default()).await
    }
}
