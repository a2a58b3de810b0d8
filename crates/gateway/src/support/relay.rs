//! Between a customer and a support phone: what one writes reaches the other over the instance's number.
//!
//! A support contact answers a notice by quoting it, or without a quote the customer of whom they heard
//! last. `#resolve`, `#ai` and `#help` are for us. A support contact of whom nothing waits is a customer like
//! everybody. Two machines that answer each other are stopped: so many relays a minute, and no more.

use super::errands::Errand;
use super::escalations::LOOK_BACK;
use super::moves::{self, Move};
use crate::Shared;
use crate::jobs::Failure;
use crate::turns::Heard;
use flowcore_domain::conversation::{ConversationStatus, Role, Step};
use flowcore_domain::id::{ConversationId, InstanceId};
use flowcore_domain::instance::Instance;
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::support::SupportConfig;
use flowcore_domain::support::command::{Command, HELP};
use flowcore_storage::{
    ContactFilter, Conversation, Moved, Page, Said, StorageError, StoredMessage,
};
use serde_json::json;
use std::time::Duration;

/// So many messages of one side are passed on within this time.
const RELAYS: usize = 20;
const WITHIN: Duration = Duration::from_secs(60);

/// Whether a number, in any of its spellings, is among the addresses of somebody.
pub(super) fn has_number(addresses: &[Jid], number: &str) -> bool {
    let spellings = Number::spellings(number);
    addresses.iter().filter_map(Jid::phone).any(|phone| spellings.iter().any(|one| one == phone))
}

/// The support phone whose chat this is, by its address and the other one where it is known.
pub(crate) async fn phone_of(
    shared: &Shared,
    config: &SupportConfig,
    (instance, (chat, alt)): (InstanceId, (&Jid, Option<&Jid>)),
) -> Result<Option<String>, StorageError> {
    if config.phones.is_empty() {
        return Ok(None);
    }
    let mut addresses = vec![chat.clone()];
    addresses.extend(alt.cloned());
    let who = ContactFilter { address: Some(chat.clone()), ..ContactFilter::default() };
    let page = Page { skip: 0, take: 1 };
    for contact in shared.store.find_contacts(instance, &who, page).await? {
        addresses.extend(contact.addresses);
    }
    let phone = config.phones.iter().find(|phone| has_number(&addresses, &phone.number));
    Ok(phone.map(|phone| phone.number.clone()))
}

/// The customer whom a support contact's message is about, if there is one.
pub(crate) async fn subject(
    shared: &Shared,
    phone: &str,
    message: &StoredMessage,
) -> Result<Option<Conversation>, StorageError> {
    let (store, instance) = (&shared.store, message.instance_id);
    let quoted = message.context.as_ref().and_then(|context| context["stanzaId"].as_str());
    let mut found = match quoted {
        Some(id) => store.subject_of_message(instance, id).await?,
        None => None,
    };
    if found.is_none() {
        found = store.last_subject_of_phone(instance, phone).await?;
    }
    match found {
        Some(id) => store.conversation(id).await,
        None => Ok(None),
    }
}

/// A support contact wrote about a customer.
pub(crate) async fn from_support(
    shared: &Shared,
    instance: &Instance,
    (phone, message): (&str, &StoredMessage),
    about: &Conversation,
) -> Result<(), Failure> {
    let text = message.text.as_deref().unwrap_or_default();
    let waits = about.standing.status == ConversationStatus::Escalated;
    let answer = match Command::parse(text) {
        Some(Command::Help | Command::Unknown) => HELP.to_owned(),
        Some(order) => obey(shared, instance, (phone, about.id), order).await?,
        None if !waits => "Not sent: this customer does not wait any more.".to_owned(),
        None => return to_customer(shared, instance, (phone, message), about).await,
    };
    let key = format!("answer:{}", message.row_id);
    let errand = Errand::to_phone(about.id, phone, answer, key);
    enqueue(shared, instance, vec![errand]).await
}

async fn obey(
    shared: &Shared,
    instance: &Instance,
    (phone, conversation): (&str, ConversationId),
    order: Command,
) -> Result<String, Failure> {
    let note = match order {
        Command::Resolve(note) => note,
        _ => None,
    };
    let step = Step::Resolve { hand_back: true };
    let change = Move { note, ..Move::of(conversation, step, format!("support phone {phone}")) };
    Ok(match moves::make(shared, instance, change).await? {
        Moved::Done { .. } => "Done. The assistant goes on.".to_owned(),
        Moved::Unchanged(_) | Moved::Refused(_) => "It was done already.".to_owned(),
    })
}

async fn to_customer(
    shared: &Shared,
    instance: &Instance,
    (phone, message): (&str, &StoredMessage),
    about: &Conversation,
) -> Result<(), Failure> {
    if is_flood(shared, about, |one| one.metadata["by"] == "support").await? {
        return Ok(());
    }
    let text = message.text.clone().unwrap_or_default();
    let errand = Errand {
        forward: passed_on(message),
        role: Role::Human,
        metadata: json!({ "by": "support", "phone": phone }),
        ..Errand::to_customer(about.id, text, format!("relay:{}", message.row_id))
    };
    enqueue(shared, instance, vec![errand]).await
}

/// A customer who waits wrote again: whoever has them is told, or everybody while nobody has.
pub(crate) async fn to_support(
    shared: &Shared,
    heard: &Heard,
    config: &SupportConfig,
) -> Result<(), Failure> {
    let (about, message) = (&heard.conversation, &heard.message);
    if is_flood(shared, about, |one| one.role == Role::User).await? {
        return Ok(());
    }
    let said = shared.store.said(about.id, None, LOOK_BACK).await?;
    let has = said.iter().find(|one| one.metadata["by"] == "support");
    let has = has.and_then(|one| one.metadata["phone"].as_str());
    let number = about.phone().unwrap_or_default();
    // In a group it is whoever speaks.
    let name = message.push_name.as_deref().filter(|_| about.chat.is_group());
    let name = name.or(about.name.as_deref()).unwrap_or(number);
    let text = format!("{name}: {}", message.text.as_deref().unwrap_or_default());
    let mut errands = Vec::new();
    for phone in config.phones.iter().map(|phone| phone.number.as_str()) {
        if has.is_some_and(|has| has != phone) || has_number(&about.addresses, phone) {
            continue;
        }
        let key = format!("relay:{}:{phone}", message.row_id);
        errands.push(Errand {
            forward: passed_on(message),
            ..Errand::to_phone(about.id, phone, text.clone(), key)
        });
    }
    enqueue(shared, &heard.instance, errands).await
}

/// What is no text is passed on as it is.
fn passed_on(message: &StoredMessage) -> Option<flowcore_domain::id::MessageRowId> {
    (message.kind != "conversation").then_some(message.row_id)
}

async fn is_flood(
    shared: &Shared,
    about: &Conversation,
    counts: impl Fn(&Said) -> bool,
) -> Result<bool, StorageError> {
    let since = shared.now();
    let said = shared.store.said(about.id, None, LOOK_BACK).await?;
    let recent = said.iter().filter(|one| one.at.plus(WITHIN) > since && counts(one)).count();
    if recent > RELAYS {
        tracing::warn!(conversation = %about.id, "two machines seem to answer each other; not passed on");
    }
    Ok(recent > RELAYS)
}

async fn enqueue(
    shared: &Shared,
    instance: &Instance,
    errands: Vec<Errand>,
) -> Result<(), Failure> {
    let now = shared.now();
    let jobs = errands.iter().map(|one| one.job(instance.id, now)).collect();
    shared.store.enqueue_jobs(jobs, now).await?;
    shared.bell.ring();
    Ok(())
}
