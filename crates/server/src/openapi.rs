//! The OpenAPI 3.1 document of all that programs can ask for, and the page to read and try it on.
//!
//! It is made from the list of routes that are served. What a route takes and answers is said once, by an
//! [`Operation`]: those of our own API in the files beside this one, those of Evolution's dialect by that
//! dialect, from the tables that its bodies are checked with. Who may call it and the refusals that follow
//! from that are taken from the route itself. A route without an operation, and the other way around, fails a
//! test; an independent client that makes calls up from the document compares it with what is answered.

mod accounts;
mod assistant;
mod documents;
mod instances;
mod operation;
mod page;
mod problems;
mod server;
mod shape;
mod support;
mod webhooks;

pub(crate) use operation::{Operation, op};
pub use page::text;
pub(crate) use page::{document as file, page};
pub(crate) use shape::shape;

use crate::evolution;
use crate::surface::{Access, Route};
use problems::Dialect;
use serde_json::{Map, Value, json};

const TITLE: &str = "Flowcore";
const ABOUT: &str = "A WhatsApp platform: instances, messages, webhooks, and the dialect of Evolution API 2.3.7. \
     Problems are RFC 9457; switch on their `code`. Events are also told over Socket.IO at `/socket.io/`.";

/// Whether a route is for programs. Pages, their assets, and what refuses everything are not.
fn is_for_programs(route: &Route) -> bool {
    let of_browsers = ["/login", "/dashboard/", "/assets/", "/manager", "/docs", "/socket.io/"];
    !matches!(route.access, Access::Page(_))
        && route.method != "*"
        && !of_browsers.iter().any(|start| route.path.starts_with(start))
}

/// The document about these routes.
pub(crate) fn document(routes: &[Route]) -> Value {
    let operations = operations();
    let (mut paths, mut refusals) = (Map::new(), Map::new());
    for route in routes.iter().filter(|route| is_for_programs(route)) {
        let known = operations.iter().find(|one| one.is_of(route));
        let Some(known) = known else { continue };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = known.described(route);
        let refused = known.refused(route, dialect(route));
        refusals
            .extend(refused.into_iter().map(|status| problems::response(dialect(route), status)));
    }
    let mut tags: Vec<&str> = Vec::new();
    for one in &operations {
        if !tags.contains(&one.tag) {
            tags.push(one.tag);
        }
    }
    let tags: Vec<Value> = tags.iter().map(|tag| json!({ "name": tag })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer",
                            "description": "A key, or a token of POST /api/auth/login" },
                "apikey": { "type": "apiKey", "in": "header", "name": "apikey" },
            },
            "schemas": schemas(),
            "responses": refusals,
        },
    })
}

fn operations() -> Vec<Operation> {
    let mut all = server::operations();
    all.extend(instances::operations());
    all.extend(webhooks::operations());
    all.extend(support::operations());
    all.extend(documents::operations());
    all.extend(assistant::operations());
    all.extend(accounts::operations());
    all.extend(evolution::operations());
    all
}

fn schemas() -> Map<String, Value> {
    let named = instances::SCHEMAS
        .iter()
        .chain(webhooks::SCHEMAS)
        .chain(support::SCHEMAS)
        .chain(documents::SCHEMAS)
        .chain(assistant::SCHEMAS)
        .chain(accounts::SCHEMAS)
        .chain(problems::SCHEMAS)
        .chain(server::SCHEMAS);
    named.map(|(name, text)| ((*name).to_owned(), shape(text))).collect()
}

/// In which words a route refuses.
fn dialect(route: &Route) -> Dialect {
    match route.access {
        Access::Evolution(_) => Dialect::Evolution,
        Access::Bearer(_) => Dialect::Functions,
        _ if route.path.starts_with("/functions/") => Dialect::Functions,
        _ => Dialect::Own,
    }
}
