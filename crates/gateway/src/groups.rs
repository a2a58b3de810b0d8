//! Groups. What they are is asked of WhatsApp once and kept for a while; what changes one, here or on
//! WhatsApp's side, makes it forgotten.

mod known;

pub(crate) use known::KnownGroups;

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::media::{MediaSource, picture};
use crate::messages::send_draft;
use crate::{Instances, Shared, numbers};
use flowcore_domain::engine::{Group, GroupSwitch, MemberChange, MemberOutcome};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Content, Draft, GroupInvite};
use flowcore_storage::StoredMessage;
use known::PATIENCE;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Most people that are changed in one go; WhatsApp's largest groups have as many.
const MAX_MEMBERS: usize = 1024;
/// Most people who are invited in one go.
const MAX_INVITED: usize = 50;
/// Length of an invitation's code.
const CODE: usize = 22;
/// How long a page waits for the names of groups.
const MOMENT: Duration = Duration::from_millis(200);

/// A group to make.
#[derive(Debug, Clone, Default)]
pub struct NewGroup {
    /// What it is called.
    pub subject: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who is in it: numbers or addresses.
    pub members: Vec<String>,
    /// All of them are admins.
    pub promote: bool,
}

/// Groups.
#[derive(Debug, Clone)]
pub struct Groups {
    shared: Arc<Shared>,
    instances: Instances,
}

impl Groups {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// Makes a group.
    ///
    /// # Errors
    /// When WhatsApp does not make it. A description or promotion that fails after that is an error too;
    /// the group is there then.
    pub async fn create(
        &self,
        caller: &Caller,
        name: &InstanceName,
        new: &NewGroup,
    ) -> Result<Group, ServiceError> {
        check_subject(&new.subject)?;
        let online = self.instances.online(caller, name).await?;
        let members = self.people(&online, &new.members).await?;
        let session = &online.session;
        let made = session.create_group(&new.subject, &members).await?;
        if let Some(description) = &new.description {
            session.set_group_description(&made.id, Some(description)).await?;
        }
        if new.promote && !members.is_empty() {
            session.change_members(&made.id, MemberChange::Promote, &members).await?;
        }
        self.fresh(&online, &made.id).await
    }

    /// A group that the number is in.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when it is in none of that address.
    pub async fn get(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
    ) -> Result<Group, ServiceError> {
        let online = self.online(caller, name, id).await?;
        metadata(&self.shared, &online, id).await
    }

    /// All groups that the number is in.
    ///
    /// # Errors
    /// When WhatsApp can't be asked.
    pub async fn list(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<Group>, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let mut groups = online.session.groups().await?;
        groups.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        for group in &groups {
            self.shared.groups.remember(online.instance.id, group.clone(), self.shared.now());
        }
        Ok(groups)
    }

    /// What groups are called, of those of these addresses that are groups the number is or was in. For what is not
    /// remembered WhatsApp is asked, once a minute at most; while it does not say, names are missing.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn names(
        &self,
        caller: &Caller,
        name: &InstanceName,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, ServiceError> {
        let instance = self.instances.find(caller, name).await?.id;
        let groups: Vec<&Jid> = addresses.iter().filter(|jid| jid.is_group()).collect();
        let memory = &self.shared.groups;
        let named = |id: &&Jid| Some(((*id).clone(), memory.name(instance, id)?));
        let known: HashMap<_, _> = groups.iter().filter_map(named).collect();
        if known.len() == groups.len() || !memory.may_ask(instance, self.shared.now()) {
            return Ok(known);
        }
        match tokio::time::timeout(PATIENCE, self.list(caller, name)).await {
            Ok(Ok(_)) => memory.asked(instance, self.shared.now()),
            Ok(Err(_)) => memory.not_asked(instance),
            Err(_) => return Ok(known),
        }
        Ok(groups.iter().filter_map(named).collect())
    }

    /// The same for who can't wait: what is asked for now, and does not come at once, is known the next time.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn names_at_hand(
        &self,
        caller: &Caller,
        name: &InstanceName,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, ServiceError> {
        if !addresses.iter().any(Jid::is_group) {
            return Ok(HashMap::new());
        }
        let (groups, who, whose) = (self.clone(), caller.clone(), name.clone());
        let which = addresses.to_vec();
        let asking = async move { groups.names(&who, &whose, &which).await };
        let stopping = self.shared.lifecycle.stopping().clone();
        let tracker = self.shared.lifecycle.tracker();
        let asking = tracker.spawn(stopping.run_until_cancelled_owned(asking));
        match tokio::time::timeout(MOMENT, asking).await {
            Ok(Ok(Some(found))) => found,
            // It goes on; what is known already is said at once, as nobody asks a second time meanwhile.
            _ => self.names(caller, name, addresses).await,
        }
    }

    /// Where the picture of a group is.
    ///
    /// # Errors
    /// When WhatsApp can't be asked.
    pub async fn picture(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
    ) -> Result<Option<String>, ServiceError> {
        let online = self.online(caller, name, id).await?;
        let picture = online.session.picture_of(id).await?;
        let (instance, now) = (online.instance.id, self.shared.now());
        self.shared.store.note_picture(instance, id, (picture.clone(), now)).await?;
        Ok(picture)
    }

    /// Calls a group something else.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number may not.
    pub async fn set_subject(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (id, subject): (&Jid, &str),
    ) -> Result<(), ServiceError> {
        check_subject(subject)?;
        let online = self.online(caller, name, id).await?;
        let done = online.session.set_group_subject(id, subject).await;
        self.changed(&online, id);
        Ok(done?)
    }

    /// Says what a group is for; an empty text takes that away.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number may not.
    pub async fn set_description(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (id, text): (&Jid, &str),
    ) -> Result<(), ServiceError> {
        let online = self.online(caller, name, id).await?;
        let text = Some(text).filter(|text| !text.is_empty());
        let done = online.session.set_group_description(id, text).await;
        self.changed(&online, id);
        Ok(done?)
    }

    /// Gives a group a picture, of any format.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it is no picture.
    pub async fn set_picture(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (id, source): (&Jid, &MediaSource),
    ) -> Result<(), ServiceError> {
        let online = self.online(caller, name, id).await?;
        let jpeg = picture::for_profile(&self.shared, source).await?;
        Ok(online.session.set_group_picture(id, Some(jpeg)).await?)
    }

    /// Lets people in, puts them out, makes them admins or no more.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number may not; what became of each is in the answer.
    pub async fn change_members(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
        (change, members): (MemberChange, &[String]),
    ) -> Result<Vec<MemberOutcome>, ServiceError> {
        let online = self.online(caller, name, id).await?;
        let members = self.people(&online, members).await?;
        if members.is_empty() {
            return Err(ServiceError::Invalid("name at least one person".into()));
        }
        let done = online.session.change_members(id, change, &members).await;
        self.changed(&online, id);
        Ok(done?)
    }

    /// Switches something of a group.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number may not.
    pub async fn switch(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (id, switch): (&Jid, GroupSwitch),
    ) -> Result<(), ServiceError> {
        let online = self.online(caller, name, id).await?;
        let done = online.session.switch_group(id, switch).await;
        self.changed(&online, id);
        Ok(done?)
    }

    /// Whether only admins let people in, as WhatsApp says now.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number is not in it.
    pub async fn is_closed(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
    ) -> Result<bool, ServiceError> {
        let online = self.online(caller, name, id).await?;
        Ok(online.session.is_closed(id).await?)
    }

    /// The code that lets one in; a renewed one makes the earlier useless.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when the number may not.
    pub async fn invite_code(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (id, renew): (&Jid, bool),
    ) -> Result<String, ServiceError> {
        let online = self.online(caller, name, id).await?;
        Ok(online.session.invite_code(id, renew).await?)
    }

    /// The group that a code leads to.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when it leads nowhere.
    pub async fn invited(
        &self,
        caller: &Caller,
        name: &InstanceName,
        code: &str,
    ) -> Result<Group, ServiceError> {
        let code = check_code(code)?;
        let online = self.instances.online(caller, name).await?;
        Ok(online.session.invited_group(code).await?)
    }

    /// Goes in by a code.
    ///
    /// # Errors
    /// [`ServiceError::Rejected`] when it leads nowhere.
    pub async fn join(
        &self,
        caller: &Caller,
        name: &InstanceName,
        code: &str,
    ) -> Result<Jid, ServiceError> {
        let code = check_code(code)?;
        let online = self.instances.online(caller, name).await?;
        let joined = online.session.join_group(code).await?;
        self.changed(&online, &joined);
        Ok(joined)
    }

    /// Sends people a message that invites them; the code, and the messages.
    ///
    /// # Errors
    /// When the code can't be had, or a number is not on WhatsApp: nothing is sent then.
    pub async fn send_invite(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
        (numbers, text): (&[String], &str),
    ) -> Result<(String, Vec<StoredMessage>), ServiceError> {
        if numbers.is_empty() || numbers.len() > MAX_INVITED {
            return Err(ServiceError::Invalid("invite from 1 to 50 people at once".into()));
        }
        let online = self.online(caller, name, id).await?;
        let people = self.people(&online, numbers).await?;
        let group = metadata(&self.shared, &online, id).await?;
        let code = online.session.invite_code(id, false).await?;
        let mut sent = Vec::with_capacity(people.len());
        for to in people {
            let invite = GroupInvite {
                group: id.clone(),
                subject: group.subject.clone(),
                code: code.clone(),
                caption: Some(text.to_owned()).filter(|text| !text.is_empty()),
            };
            let draft = Draft::plain(to, Content::GroupInvite(invite));
            sent.push(send_draft(&self.shared, &online, &draft).await?);
        }
        Ok((code, sent))
    }

    /// Goes out of a group.
    ///
    /// # Errors
    /// When WhatsApp can't be told.
    pub async fn leave(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
    ) -> Result<(), ServiceError> {
        let online = self.online(caller, name, id).await?;
        let done = online.session.leave_group(id).await;
        self.changed(&online, id);
        Ok(done?)
    }

    async fn online(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &Jid,
    ) -> Result<Online, ServiceError> {
        if id.server() != Server::Group {
            return Err(ServiceError::Invalid("this is not the address of a group".into()));
        }
        self.instances.online(caller, name).await
    }

    async fn people(&self, online: &Online, given: &[String]) -> Result<Vec<Jid>, ServiceError> {
        if given.len() > MAX_MEMBERS {
            return Err(ServiceError::Invalid(format!("at most {MAX_MEMBERS} people at once")));
        }
        numbers::resolve_all(&self.shared, &*online.session, given).await
    }

    async fn fresh(&self, online: &Online, id: &Jid) -> Result<Group, ServiceError> {
        self.changed(online, id);
        metadata(&self.shared, online, id).await
    }

    fn changed(&self, online: &Online, id: &Jid) {
        self.shared.groups.forget(online.instance.id, id);
    }
}

/// A group, as it is remembered or as WhatsApp says.
pub(crate) async fn metadata(
    shared: &Shared,
    online: &Online,
    id: &Jid,
) -> Result<Group, ServiceError> {
    let (instance, now) = (online.instance.id, shared.now());
    if let Some(known) = shared.groups.get(instance, id, now) {
        return Ok(known);
    }
    let found = online.session.group(id).await?;
    shared.groups.remember(instance, found.clone(), now);
    Ok(found)
}

fn check_subject(subject: &str) -> Result<(), ServiceError> {
    if subject.trim().is_empty() {
        return Err(ServiceError::Invalid("a group has a subject".into()));
    }
    Ok(())
}

/// Takes the whole link too.
fn check_code(code: &str) -> Result<&str, ServiceError> {
    let code = code.rsplit('/').next().unwrap_or(code);
    if code.len() == CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(code)
    } else {
        Err(ServiceError::Invalid("the code of an invitation has 22 letters and digits".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_invitation_is_taken_from_its_link() {
        let code = "AbCdEfGhIjKlMnOpQrStUv";
        assert_eq!(check_code(code).ok(), Some(code));
        assert_eq!(check_code(&format!("https://chat.whatsapp.com/{code}")).ok(), Some(code));
        assert!(check_code("../../secret").is_err());
    }
}
