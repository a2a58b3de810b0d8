//! Statuses: what the owner shows to many for a day.

use super::request::NewMedia;
use super::{Extras, Messages, dispatch, drafts};
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::numbers;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Content, Draft};
use flowcore_storage::{ContactFilter, Page, StoredMessage};

/// Most people who are shown a status.
const MAX_AUDIENCE: usize = 5_000;
/// How many contacts are read at once.
const PAGE: usize = 500;

/// A status to show.
#[derive(Debug, Clone)]
pub struct NewStatus {
    /// What it shows.
    pub content: StatusContent,
    /// To whom.
    pub audience: Audience,
}

/// What a status shows.
#[derive(Debug, Clone)]
pub enum StatusContent {
    /// A text on a colour.
    Text {
        /// What it says.
        text: String,
        /// The colour, `0xAARRGGBB`.
        background: u32,
        /// Which of WhatsApp's fonts, 1 to 5.
        font: u8,
    },
    /// A file.
    Media(NewMedia),
}

/// Who is shown a status.
#[derive(Debug, Clone)]
pub enum Audience {
    /// Everybody that the instance has a conversation with.
    Contacts,
    /// These: numbers or addresses.
    People(Vec<String>),
}

impl Messages {
    /// Shows a status.
    ///
    /// # Errors
    /// As [`Self::send`]; [`ServiceError::Invalid`] when there is nobody to show it to.
    pub async fn post_status(
        &self,
        caller: &Caller,
        name: &InstanceName,
        status: &NewStatus,
    ) -> Result<StoredMessage, ServiceError> {
        if let StatusContent::Text { text, .. } = &status.content {
            drafts::check_text(text)?;
        }
        let online = self.instances.online(caller, name).await?;
        let recipients = self.audience(&online, &status.audience).await?;
        if recipients.is_empty() {
            return Err(ServiceError::Invalid("there is nobody to show the status to".into()));
        }
        let content = match &status.content {
            StatusContent::Text { text, background, font } => {
                Content::StatusText { text: text.clone(), background: *background, font: *font }
            }
            StatusContent::Media(media) => {
                Content::Media(Box::new(drafts::file(&self.shared, &online, media).await?))
            }
        };
        let to = Jid::new("status", Server::Broadcast).expect("a well-formed address");
        let extras = Extras { recipients, ..Extras::default() };
        dispatch(&self.shared, &online, &Draft::plain(to, content), extras).await
    }

    async fn audience(
        &self,
        online: &Online,
        audience: &Audience,
    ) -> Result<Vec<Jid>, ServiceError> {
        if let Audience::People(given) = audience {
            if given.len() > MAX_AUDIENCE {
                return Err(ServiceError::Invalid(format!("at most {MAX_AUDIENCE} people")));
            }
            return numbers::resolve_all(&self.shared, &*online.session, given).await;
        }
        let (mut people, mut skip) = (Vec::new(), 0);
        loop {
            let page = Page { take: PAGE, skip };
            let filter = ContactFilter::default();
            let some = self.shared.store.find_contacts(online.instance.id, &filter, page).await?;
            let known = some.iter().filter(|one| one.has_chat).filter_map(|one| {
                let phone = one.addresses.iter().find(|jid| jid.server() == Server::Person);
                phone.or_else(|| one.addresses.first()).cloned()
            });
            people.extend(known);
            if some.len() < PAGE || people.len() >= MAX_AUDIENCE {
                people.truncate(MAX_AUDIENCE);
                return Ok(people);
            }
            skip += PAGE;
        }
    }
}
