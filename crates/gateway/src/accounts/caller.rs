//! Somebody who was recognised, and what they may do: the one place where that is decided.
//!
//! A caller is a user seen through a credential. The user's role is the most that any of their credentials
//! may do; a key may be good for less, and for some of their instances only.

use flowcore_domain::account::{Role, Scope, Scopes};
use flowcore_domain::id::{ApiKeyId, InstanceId, SessionId, UserId};
use flowcore_domain::instance::Instance;
use std::sync::Arc;

/// By what somebody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A key of the API.
    Key(ApiKeyId),
    /// The token of one instance.
    Instance(InstanceId),
    /// A sign-in of a browser or a program.
    Session(SessionId),
    /// A token of somebody whom others signed in.
    Foreign(UserId),
    /// The server's own doing.
    Server,
}

/// As the audit log names it.
impl std::fmt::Display for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::Instance(id) => write!(f, "instance {id}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::Foreign(_) => f.write_str("foreign token"),
            Self::Server => f.write_str("server"),
        }
    }
}

/// Somebody who was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user_id: UserId,
    /// What they are.
    pub role: Role,
    /// What this credential is good for.
    pub scopes: Scopes,
    /// By what they were recognised.
    pub credential: Credential,
    /// The only instances that this credential knows; `None` for all that the user may see.
    pub only: Option<Arc<[InstanceId]>>,
}

impl Caller {
    /// A user with everything that their role allows.
    #[must_use]
    pub fn new(user_id: UserId, role: Role, credential: Credential) -> Self {
        Self { user_id, role, scopes: role.scopes(), credential, only: None }
    }

    /// With no more than these scopes.
    #[must_use]
    pub fn limited_to(mut self, scopes: Scopes) -> Self {
        self.scopes = self.scopes.and(scopes);
        self
    }

    /// With these instances only.
    #[must_use]
    pub fn limited_to_instances(mut self, only: &[InstanceId]) -> Self {
        self.only = Some(only.into());
        self
    }

    /// Who it was, for audit rows.
    #[must_use]
    pub fn by(&self) -> String {
        format!("{} of user {}", self.credential, self.user_id)
    }

    /// A person who signed in; keys and tokens of instances are in programs.
    #[must_use]
    pub fn is_person(&self) -> bool {
        matches!(self.credential, Credential::Session(_) | Credential::Foreign(_))
    }

    /// Whether this credential is good for that.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// Whether they act for the whole server.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin && self.may(Scope::Admin)
    }

    /// Whose instances a list shows; `None` for everybody's.
    #[must_use]
    pub fn user_of_lists(&self) -> Option<UserId> {
        (!self.is_admin()).then_some(self.user_id)
    }

    /// Whether they may know of an instance. To others it does not exist.
    #[must_use]
    pub fn sees(&self, instance: &Instance) -> bool {
        self.sees_instance(instance.user_id, instance.id)
    }

    /// The same by the owner and the id.
    #[must_use]
    pub fn sees_instance(&self, owner: UserId, id: InstanceId) -> bool {
        (owner == self.user_id || self.is_admin())
            && self.only.as_ref().is_none_or(|only| only.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fresh_id;

    #[test]
    fn only_admins_with_the_scope_see_what_is_not_theirs() {
        let (own, other, id): (UserId, UserId, InstanceId) = (fresh_id(), fresh_id(), fresh_id());
        let admin = Caller::new(own, Role::Admin, Credential::Server);
        assert!(admin.sees_instance(other, id) && admin.user_of_lists().is_none());
        let narrow = admin.limited_to(Role::Member.scopes());
        assert!(!narrow.sees_instance(other, id) && narrow.sees_instance(own, id));
        let member = Caller::new(own, Role::Member, Credential::Server);
        assert!(!member.clone().limited_to(Scopes::ALL).may(Scope::Admin));
        let one = member.limited_to_instances(&[id]);
        assert!(one.sees_instance(own, id) && !one.sees_instance(own, fresh_id()));
    }
}
