//! People: whether they are on WhatsApp, what they show, and what the owner of a number shows them.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::media::{MediaSource, picture};
use crate::numbers::{self, CheckedNumber};
use crate::{Instances, Shared};
use flowcore_domain::engine::{BusinessProfile, PrivacyKind, PrivacyValue, Profile};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Number, Server};
use std::sync::Arc;

/// Most numbers that are looked up in one go.
const MAX_NUMBERS: usize = 500;
/// Longest name of an owner, in characters.
const MAX_NAME: usize = 25;
/// Longest text about an owner, in characters.
const MAX_ABOUT: usize = 139;

/// What someone shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Their address.
    pub jid: Jid,
    /// They are on WhatsApp.
    pub exists: bool,
    /// Where their picture is.
    pub picture: Option<String>,
    /// What they say of themselves.
    pub profile: Profile,
    /// What their business shows.
    pub business: Option<BusinessProfile>,
}

/// What the owner of a number shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnProfile {
    /// Their name.
    Name(String),
    /// What they say of themselves.
    About(String),
}

/// People.
#[derive(Debug, Clone)]
pub struct People {
    shared: Arc<Shared>,
    instances: Instances,
}

impl People {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// Which numbers are on WhatsApp.
    ///
    /// # Errors
    /// When one is no number, or WhatsApp can't be asked.
    pub async fn check(
        &self,
        caller: &Caller,
        name: &InstanceName,
        given: &[String],
    ) -> Result<Vec<CheckedNumber>, ServiceError> {
        if given.len() > MAX_NUMBERS {
            return Err(ServiceError::Invalid(format!("at most {MAX_NUMBERS} numbers at once")));
        }
        let online = self.instances.online(caller, name).await?;
        numbers::check_all(&self.shared, &*online.session, given).await
    }

    /// Where the picture of somebody or of a group is.
    ///
    /// # Errors
    /// When the number is not on WhatsApp, or WhatsApp can't be asked.
    pub async fn picture(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: &str,
    ) -> Result<(Jid, Option<String>), ServiceError> {
        let (online, jid) = self.person(caller, name, number).await?;
        let picture = online.session.picture_of(&jid).await?;
        self.note_picture(&online, &jid, picture.as_ref()).await?;
        Ok((jid, picture))
    }

    /// Lists show it from now on.
    async fn note_picture(
        &self,
        online: &Online,
        whose: &Jid,
        url: Option<&String>,
    ) -> Result<(), ServiceError> {
        let now = self.shared.now();
        let store = &self.shared.store;
        Ok(store.note_picture(online.instance.id, whose, (url.cloned(), now)).await?)
    }

    /// What somebody shows; without a number, the owner.
    ///
    /// # Errors
    /// When it is no number, or WhatsApp can't be asked. One that is not on WhatsApp is an answer.
    pub async fn profile(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: Option<&str>,
    ) -> Result<PersonView, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let jid = match number {
            None => online.own.clone(),
            Some(number) => {
                let given = [number.to_owned()];
                let checked = numbers::check_all(&self.shared, &*online.session, &given).await?;
                let Some(checked) = checked.into_iter().next() else {
                    return Err(ServiceError::Internal("a number without an answer".into()));
                };
                match checked.account {
                    Some(account) => account.jid,
                    None => return Ok(nobody(checked.jid)),
                }
            }
        };
        let person = shown(&online, jid).await?;
        self.note_picture(&online, &person.jid, person.picture.as_ref()).await?;
        Ok(person)
    }

    /// What a business shows; `None` when they are none.
    ///
    /// # Errors
    /// When the number is not on WhatsApp, or WhatsApp can't be asked.
    pub async fn business(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: &str,
    ) -> Result<(Jid, Option<BusinessProfile>), ServiceError> {
        let (online, jid) = self.person(caller, name, number).await?;
        let business = online.session.business_profile_of(&jid).await?;
        Ok((jid, business))
    }

    /// Changes what the owner shows.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it is too long.
    pub async fn set_own(
        &self,
        caller: &Caller,
        name: &InstanceName,
        own: &OwnProfile,
    ) -> Result<(), ServiceError> {
        let (text, limit) = match own {
            OwnProfile::Name(text) => (text, MAX_NAME),
            OwnProfile::About(text) => (text, MAX_ABOUT),
        };
        if text.chars().count() > limit {
            return Err(ServiceError::TextTooLong { limit });
        }
        if matches!(own, OwnProfile::Name(name) if name.trim().is_empty()) {
            return Err(ServiceError::Invalid("a name is not empty".into()));
        }
        let online = self.instances.online(caller, name).await?;
        match own {
            OwnProfile::Name(name) => online.session.set_name(name).await?,
            OwnProfile::About(text) => online.session.set_about(text).await?,
        }
        Ok(())
    }

    /// Gives the owner a picture, of any format; `None` takes it away.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it is no picture.
    pub async fn set_own_picture(
        &self,
        caller: &Caller,
        name: &InstanceName,
        source: Option<&MediaSource>,
    ) -> Result<(), ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let jpeg = match source {
            Some(source) => Some(picture::for_profile(&self.shared, source).await?),
            None => None,
        };
        online.session.set_picture(jpeg).await?;
        let picture = online.session.picture_of(&online.own).await?;
        self.note_picture(&online, &online.own, picture.as_ref()).await
    }

    /// What the owner keeps from whom.
    ///
    /// # Errors
    /// When WhatsApp can't be asked.
    pub async fn privacy(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<(PrivacyKind, PrivacyValue)>, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        Ok(online.session.privacy().await?)
    }

    /// Changes that; all or, when one does not fit, none. What is so now comes back.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when a value is none of that setting.
    pub async fn set_privacy(
        &self,
        caller: &Caller,
        name: &InstanceName,
        wanted: &[(PrivacyKind, PrivacyValue)],
    ) -> Result<Vec<(PrivacyKind, PrivacyValue)>, ServiceError> {
        if let Some((kind, value)) = wanted.iter().find(|(kind, value)| !value.fits(*kind)) {
            let (kind, value) = (kind.as_str(), value.as_str());
            return Err(ServiceError::Invalid(format!("{kind} can't be {value}")));
        }
        let online = self.instances.online(caller, name).await?;
        let now = online.session.privacy().await?;
        for change in wanted.iter().filter(|change| !now.contains(change)) {
            online.session.set_privacy(change.0, change.1).await?;
        }
        Ok(online.session.privacy().await?)
    }

    /// Blocks somebody, or lets them write again.
    ///
    /// # Errors
    /// When the number is not on WhatsApp, or WhatsApp can't be asked.
    pub async fn block(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (number, blocked): (&str, bool),
    ) -> Result<(), ServiceError> {
        let (online, jid) = self.person(caller, name, number).await?;
        if !matches!(jid.server(), Server::Person | Server::Lid) {
            return Err(ServiceError::Invalid("only people can be blocked".into()));
        }
        Ok(online.session.block(&jid, blocked).await?)
    }

    /// Who is blocked.
    ///
    /// # Errors
    /// When WhatsApp can't be asked.
    pub async fn blocked(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<Jid>, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        Ok(online.session.blocked().await?)
    }

    async fn person(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: &str,
    ) -> Result<(Online, Jid), ServiceError> {
        let number = Number::parse(number)?;
        let online = self.instances.online(caller, name).await?;
        let (jid, _) = numbers::resolve(&self.shared, &*online.session, number).await?;
        Ok((online, jid))
    }
}

async fn shown(online: &Online, jid: Jid) -> Result<PersonView, ServiceError> {
    let profile = online.session.profile_of(&jid).await?;
    let picture = online.session.picture_of(&jid).await?;
    let business =
        if profile.is_business { online.session.business_profile_of(&jid).await? } else { None };
    Ok(PersonView { jid, exists: true, picture, profile, business })
}

fn nobody(jid: Jid) -> PersonView {
    PersonView { jid, exists: false, picture: None, profile: Profile::default(), business: None }
}
