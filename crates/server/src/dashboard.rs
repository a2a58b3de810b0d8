//! The dashboard: pages rendered on the server, kept live by one stream of fragments a tab.
//!
//! Everything that is a form works without JavaScript; the one module of ours (`assets/flowcore.js`)
//! opens pages as dialogs and swaps in the fragments that [`live`] sends. Signed in is who has the
//! cookie of a session; every form carries the session's token.

mod account;
mod actions;
mod assets;
mod assistant;
mod attached;
mod bulk;
mod calls;
mod chats;
mod conversations;
mod cookie;
mod documents;
mod escalations;
mod frame;
mod happened;
mod keys;
mod live;
mod logs;
mod overview;
mod pages;
pub(crate) mod session;
mod states;
mod support;
mod users;
mod view;
mod webhooks;
mod words;

pub(crate) use cookie::Cookies;
pub(crate) use words::Language;

use crate::api::documents::UPLOAD_LIMIT;
use crate::problem::Problem;
use crate::router::VOICE_LIMIT;
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
        .post("/instances/bulk", MANAGE, bulk::act)
        .post("/instances/bulk/delete", REMOVE, bulk::delete)
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
        .with(of_documents)
        .with(of_customers)
}

fn of_an_instance(surface: Surface) -> Surface {
    use assistant::{cases, playground, wordings};
    surface
        .get("/i/{name}", LOOK, overview::show)
        .get("/i/{name}/calls", LOOK, calls::show)
        .post("/i/{name}/calls", SET, calls::save)
        .get("/i/{name}/chats", LOOK, chats::list)
        .get("/i/{name}/chats/{chat}", LOOK, chats::thread::show)
        .post("/i/{name}/chats/{chat}", SEND, chats::thread::reply)
        .get("/i/{name}/ai", LOOK, assistant::show)
        .post("/i/{name}/ai", SET, assistant::save)
        .post("/i/{name}/ai/toggle", SET, assistant::toggle)
        .post("/i/{name}/ai/check", SET, assistant::check)
        .post("/i/{name}/ai/generate", SET, wordings::generate)
        .post("/i/{name}/ai/prompt", SET, wordings::accept)
        .get("/i/{name}/ai/versions/{id}", LOOK, wordings::show)
        .post("/i/{name}/ai/versions/{id}/restore", SET, wordings::restore)
        .get("/i/{name}/ai/test", LOOK, playground::show)
        .body_limit(VOICE_LIMIT)
        .post("/i/{name}/ai/test", SET, playground::ask)
        .post("/i/{name}/ai/test/keep", SET, wordings::keep)
        .post("/i/{name}/ai/test/case", SET, cases::keep_tried)
        .body_limit(FORM_LIMIT)
        .get("/i/{name}/ai/cases", LOOK, cases::list)
        .post("/i/{name}/ai/cases", SET, cases::create)
        .post("/i/{name}/ai/cases/run", SET, cases::run)
        .post("/i/{name}/ai/cases/{id}/delete", SET, cases::delete)
        .get("/i/{name}/support", LOOK, support::show)
        .post("/i/{name}/support", SET, support::save)
        .post("/i/{name}/support/keywords", SET, support::add_keyword)
        .post("/i/{name}/support/keywords/{id}/delete", SET, support::delete_keyword)
        .get("/i/{name}/logs", LOOK, logs::list)
        .get("/i/{name}/logs/{id}", LOOK, logs::show)
        .get("/i/{name}/webhooks", LOOK, webhooks::list)
        .post("/i/{name}/webhooks", SET, webhooks::create)
        .body_limit(VOICE_LIMIT)
        .post("/i/{name}/webhooks/voice", SET, webhooks::test_voice)
        .body_limit(FORM_LIMIT)
        .post("/i/{name}/webhooks/{id}/test", SET, webhooks::test)
        .post("/i/{name}/webhooks/{id}/rotate", SET, webhooks::rotate)
        .post("/i/{name}/webhooks/{id}/switch", SET, webhooks::switch)
        .post("/i/{name}/webhooks/{id}/delete", SET, webhooks::delete)
        .get("/i/{name}/deliveries/{id}", LOOK, webhooks::delivery::show)
        .post("/i/{name}/deliveries/{id}/retry", SET, webhooks::retry)
        .post("/i/{name}/replay", SET, webhooks::replay)
}

fn of_documents(surface: Surface) -> Surface {
    surface
        .get("/documents", LOOK, documents::list)
        .body_limit(UPLOAD_LIMIT)
        .post("/documents", SET, documents::create)
        .body_limit(FORM_LIMIT)
        .get("/documents/{id}", LOOK, documents::show)
        .post("/documents/{id}/use", SET, documents::give)
        .post("/documents/{id}/delete", SET, documents::delete)
}

fn of_customers(surface: Surface) -> Surface {
    surface
        .get("/escalations", LOOK, escalations::list)
        .get("/escalations/{id}", LOOK, escalations::show)
        .post("/escalations/{id}/resolve", SEND, escalations::resolve)
        .post("/escalations/{id}/reopen", SEND, escalations::reopen)
        .get("/conversations", LOOK, conversations::list)
        .get("/conversations/{id}", LOOK, conversations::show)
        .post("/conversations/{id}", SEND, conversations::say)
        .post("/conversations/{id}/takeover", SEND, conversations::take_over)
        .post("/conversations/{id}/release", SEND, conversations::release)
        .post("/conversations/{id}/escalate", SEND, conversations::escalate)
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
        title: language.tell(problem.title),
        detail: language.tell(&problem.detail),
        request_id: id.filter(|_| problem.status.is_server_error()),
    });
    *response.status_mut() = problem.status;
    response
}
