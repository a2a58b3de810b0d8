//! The one way to add a route: with what its caller needs.
//!
//! [`Surface`] puts a guard in front of every handler, so that a route can't be reached by who may not use
//! it, and keeps the list of all routes. The test that walks them takes the list from the running server,
//! the OpenAPI document is made from it. Nothing else in this crate says `axum::routing`.

use crate::app::AppState;
use crate::auth;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter};
use flowcore_domain::account::Scope;
use std::sync::Arc;

/// Who gets through to a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who has a credential with this scope: a key, a token, or the dashboard's cookie.
    Key(Scope),
    /// The same, where only `Authorization: Bearer` counts.
    Bearer(Scope),
    /// Who is signed in with a browser and has this scope. Others are sent to the form.
    Page(Scope),
    /// Who has a key of the server or the key of an instance with this scope, as clients of Evolution send
    /// it and are refused.
    Evolution(Scope),
    /// The handler itself decides, with credentials that no other route takes.
    Own,
}

impl Access {
    /// Whether what such a request changes goes to the audit log. Messages have a record of their own.
    pub(crate) fn is_noted(self) -> bool {
        match self {
            Self::Open | Self::Own => false,
            Self::Key(scope) | Self::Bearer(scope) | Self::Page(scope) | Self::Evolution(scope) => {
                scope != Scope::Send
            }
        }
    }
}

/// A route as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Its method; `*` is every one.
    pub method: &'static str,
    /// Its path, with names in braces.
    pub path: &'static str,
    /// Who gets through.
    pub access: Access,
}

/// Routes under construction.
pub(crate) struct Surface {
    /// None when only the list is wanted.
    state: Option<AppState>,
    router: Router<AppState>,
    routes: Vec<Route>,
    body_limit: usize,
}

impl Surface {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state: Some(state), ..Self::listing() }
    }

    /// Only the list of what would be served, for the reference that a program prints without a server.
    pub(crate) fn listing() -> Self {
        Self { state: None, router: Router::new(), routes: Vec::new(), body_limit: 0 }
    }

    /// The most that a request to the routes from here on may carry.
    pub(crate) fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// A route that answers GET (and HEAD).
    pub(crate) fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.route("GET", MethodFilter::GET, (path, access), handler)
    }

    /// A route that answers POST.
    pub(crate) fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.route("POST", MethodFilter::POST, (path, access), handler)
    }

    /// A route that answers PUT.
    pub(crate) fn put<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.route("PUT", MethodFilter::PUT, (path, access), handler)
    }

    /// A route that answers PATCH.
    pub(crate) fn patch<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.route("PATCH", MethodFilter::PATCH, (path, access), handler)
    }

    /// A route that answers DELETE.
    pub(crate) fn delete<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.route("DELETE", MethodFilter::DELETE, (path, access), handler)
    }

    /// A route that answers every method alike.
    pub(crate) fn any<H, T>(mut self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let route = Route { method: "*", path, access };
        self.routes.push(route);
        let Some(state) = self.state.clone() else { return self };
        let guard = from_fn_with_state((state, route), auth::guard);
        let answers =
            axum::routing::any(handler).layer(DefaultBodyLimit::max(self.body_limit)).layer(guard);
        self.router = self.router.route(path, answers);
        self
    }

    /// Notes what answers without being a route of the router (fallbacks, layers), so that the walk knows it.
    pub(crate) fn note(mut self, method: &'static str, path: &'static str, access: Access) -> Self {
        self.routes.push(Route { method, path, access });
        self
    }

    /// More routes, declared elsewhere.
    pub(crate) fn with(self, declare: impl FnOnce(Self) -> Self) -> Self {
        declare(self)
    }

    /// The router, and the list of what is in it.
    pub(crate) fn finish(self) -> (Router<AppState>, Arc<[Route]>) {
        (self.router, self.routes.into())
    }

    fn route<H, T>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        (path, access): (&'static str, Access),
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let route = Route { method, path, access };
        self.routes.push(route);
        let Some(state) = self.state.clone() else { return self };
        let guard = from_fn_with_state((state, route), auth::guard);
        let answers = MethodRouter::new()
            .on(filter, handler)
            .route_layer(DefaultBodyLimit::max(self.body_limit))
            .route_layer(guard);
        self.router = self.router.route(path, answers);
        self
    }
}
