//! People: contacts with a phone, each a real client with keys of its own.
//!
//! A person is a `whatsapp_rust` client that links itself to its own account of this network over
//! the network's own socket. So everything that reaches a person was encrypted for it and
//! decrypted by it. After a restart of the network a person links a fresh companion.

mod compose;
mod content;
mod groups;
mod inbox;
mod person;
mod voice;
mod writing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hub::Hub;
use crate::iq::unlink;
use crate::phone::reinstall;
pub(crate) use compose::{Draft, Writing};
pub(crate) use content::downloadable;
pub(crate) use groups::GroupAction;
pub(crate) use person::{Person, PersonError};

/// All people of one network.
#[derive(Default)]
pub(crate) struct People {
    list: Mutex<BTreeMap<String, Arc<Person>>>,
    prekeys: usize,
}

impl People {
    pub(crate) fn new(prekeys: usize) -> Self {
        Self { list: Mutex::default(), prekeys }
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Person>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody's number.
    pub(crate) fn phones(&self) -> Vec<String> {
        self.list().keys().cloned().collect()
    }

    pub(crate) fn get(&self, phone: &str) -> Option<Arc<Person>> {
        self.list().get(phone).cloned()
    }

    /// Makes a person with this number, or a free one, and waits until its client is connected.
    pub(crate) async fn add(
        &self,
        hub: &Arc<Hub>,
        phone: Option<String>,
        name: &str,
    ) -> Result<Arc<Person>, PersonError> {
        let phone = {
            let mut world = hub.world();
            let phone = phone.unwrap_or_else(|| world.free_number());
            if world.accounts.contains_key(&phone) {
                return Err(PersonError::Taken);
            }
            world.account_for(&phone, Some(name)).profile.person = true;
            world.touch();
            phone
        };
        self.start(hub, &phone, name).await
    }

    async fn start(
        &self,
        hub: &Arc<Hub>,
        phone: &str,
        name: &str,
    ) -> Result<Arc<Person>, PersonError> {
        let person = Person::start(hub, phone, name, self.prekeys).await?;
        self.list().insert(phone.to_owned(), Arc::clone(&person));
        Ok(person)
    }

    /// A person sets its phone up anew: new keys, and an empty inbox.
    pub(crate) async fn reinstall(&self, hub: &Arc<Hub>, phone: &str) -> Result<(), PersonError> {
        let old = self.list().remove(phone).ok_or(PersonError::NotLinked)?;
        old.stop().await;
        let name = {
            let mut world = hub.world();
            reinstall(&mut world, phone).map_err(|_| PersonError::NotLinked)?;
            world.accounts.get(phone).map(|account| account.profile.push_name.clone())
        };
        self.start(hub, phone, &name.unwrap_or_default()).await?;
        Ok(())
    }

    /// After a restart: everybody links a fresh companion, the old ones are gone with their keys.
    pub(crate) async fn relink(&self, hub: &Arc<Hub>) {
        let people: Vec<(String, String)> = {
            let mut world = hub.world();
            let people: Vec<(String, String)> = world
                .accounts
                .values()
                .filter(|account| account.profile.person)
                .map(|account| (account.phone.clone(), account.profile.push_name.clone()))
                .collect();
            for (phone, _) in &people {
                for device in world.companions(phone) {
                    unlink(&mut world, &device);
                }
            }
            people
        };
        for (phone, name) in people {
            if let Err(error) = self.start(hub, &phone, &name).await {
                tracing::error!(%error, "a contact could not be linked again");
            }
        }
    }

    /// Ends every client at once.
    pub(crate) fn abort(&self) {
        for person in std::mem::take(&mut *self.list()).into_values() {
            person.abort();
        }
    }

    /// Stops every client and forgets the people.
    pub(crate) async fn stop(&self) {
        let people = std::mem::take(&mut *self.list());
        let stops = people.into_values().map(|person| async move { person.stop().await });
        futures_util::future::join_all(stops).await;
    }
}
