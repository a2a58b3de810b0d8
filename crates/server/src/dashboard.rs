//! The dashboard: pages rendered on the server, kept live by one stream of fragments a tab.
//!
//! Everything that is a form works without JavaScript; the one module of ours (`assets/flowcore.js`)
//! opens pages as dialogs and swaps in the fragments that [`live`] sends. Signed in is who has the
//! cookie of a session; every form carries the session's token.

mod account;
mod actions;
mod assets;
mod calls;
mod chats;
mod cookie;
mod frame;
mod keys;
mod live;
mod logs;
mod overview;
mod pages;
pub(crate) mod session;
mod users;
mod view;
mod webhooks;
mod words;

pub(crate) use cookie::Cookies;
pub(crate) use words::Language;

use crate::problem::Problem;
use crate::surface::{Access, Surface};
use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use flowcore_domain::account::Scope;
use frame::Frame;

/// Forms of the dashboard are a few fields; the longest is a message.
const FORM_LIMIT: usize = 512 << 10;

const LOOK: Access = Access::Page(Scope::Read);
const SEND: Access = Access::Page(Scope::Send);
const MANAGE: Access = Access::Page(Scope::Manage);
const SET: Access = Access::Page(Scope::Settings);
const REMOVE: Access = Access::Page(Scope::Delete);
const ADMINISTER: Access = Access::Page(Scope::Admin);

/// The pages, and what their forms do.
pub(crate) fn routes(surface: Surface) -> Surface {
    surface
        .body_limit(FORM_LIMIT)
        .get("/", Access::Open, pages::home)
        .get("/login", Access::Open, session::form)
        .post("/login", Access::Open, session::sign_in)
        .post("/logout", LOOK, session::sign_out)
        .get("/instances/new", MANAGE, pages::new_instance)
        .post("/instances", MANAGE, actions::create)
        .get("/i/{name}/link", LOOK, pages::link)
        .post("/i/{name}/link", MANAGE, actions::connect)
        .post("/i/{name}/link/code", MANAGE, actions::pairing_code)
        .post("/i/{name}/restart", MANAGE, actions::restart)
        .get("/i/{name}/logout", MANAGE, pages::confirm_logout)
        .post("/i/{name}/logout", MANAGE, actions::log_out)
        .get("/i/{name}/delete", REMOVE, pages::confirm_delete)
        .post("/i/{name}/delete", REMOVE, actions::delete)
        // Scripts can't follow a redirect to a form.
        .get("/dashboard/live", Access::Key(Scope::Read), live::stream)
        .get("/assets/{*path}", Access::Open, assets::file)
        .with(of_an_instance)
        .with(of_people)
}

fn of_an_instance(surface: Surface) -> Surface {
    surface
        .get("/i/{name}", LOOK, overview::show)
        .get("/i/{name}/calls", LOOK, calls::show)
        .post("/i/{name}/calls", SET, calls::save)
        .get("/i/{name}/chats", LOOK, chats::list)
        .get("/i/{name}/chats/{chat}", LOOK, chats::show)
        .post("/i/{name}/chats/{chat}", SEND, chats::reply)
        .get("/i/{name}/logs", LOOK, logs::list)
        .get("/i/{name}/logs/{id}", LOOK, logs::show)
        .get("/i/{name}/webhooks", LOOK, webhooks::list)
        .post("/i/{name}/webhooks", SET, webhooks::create)
        .post("/i/{name}/webhooks/{id}/test", SET, webhooks::test)
        .post("/i/{name}/webhooks/{id}/rotate", SET, webhooks::rotate)
        .post("/i/{name}/webhooks/{id}/switch", SET, webhooks::switch)
        .post("/i/{name}/webhooks/{id}/delete", SET, webhooks::delete)
        .post("/i/{name}/deliveries/{id}/retry", SET, webhooks::retry)
        .post("/i/{name}/replay", SET, webhooks::replay)
}

fn of_people(surface: Surface) -> Surface {
    surface
        .get("/keys", MANAGE, keys::list)
        .post("/keys", MANAGE, keys::create)
        .post("/keys/{id}/delete", MANAGE, keys::delete)
        .get("/account", LOOK, account::show)
        .post("/account/password", LOOK, account::password)
        .post("/account/totp", LOOK, account::offer)
        .post("/account/totp/on", LOOK, account::confirm)
        .post("/account/totp/off", LOOK, account::remove)
        .post("/account/sessions/{id}/end", LOOK, account::end_session)
        .post("/account/language", LOOK, account::language)
        .get("/users", ADMINISTER, users::list)
        .post("/users", ADMINISTER, users::create)
        .get("/users/{id}", ADMINISTER, users::show)
        .post("/users/{id}", ADMINISTER, users::update)
        .post("/users/{id}/totp", ADMINISTER, users::remove_totp)
        .post("/users/{id}/delete", ADMINISTER, users::delete)
}

/// A page from its template.
fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            Problem::internal().into_response()
        }
    }
}

/// What browsers get instead of problem JSON.
pub(crate) fn problem_page(problem: &Problem, id: Option<&str>, language: Language) -> Response {
    let mut response = page(&view::ProblemPage {
        frame: Frame::of_nobody(language),
        title: problem.title,
        detail: &problem.detail,
        request_id: id.filter(|_| problem.status.is_server_error()),
    });
    *response.status_mut() = problem.status;
    response
}
