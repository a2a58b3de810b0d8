//! What lists show of many instances at once: what each does by itself, and who waits for a person there.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::InstanceView;
use crate::{Gateway, Glance};
use flowcore_domain::id::InstanceId;
use std::collections::HashMap;

impl Gateway {
    /// Instances that a caller was shown, at a glance.
    ///
    /// # Errors
    /// The store's.
    pub async fn glance(
        &self,
        shown: &[InstanceView],
    ) -> Result<HashMap<InstanceId, Glance>, ServiceError> {
        let ids: Vec<_> = shown.iter().map(|view| view.id).collect();
        let found = self.shared.store.glance(&ids).await?;
        Ok(found.into_iter().map(|one| (one.instance, one)).collect())
    }

    /// How many customers wait for a person at the instances that a caller may see.
    ///
    /// # Errors
    /// The store's.
    pub async fn customers_waiting(&self, caller: &Caller) -> Result<u64, ServiceError> {
        let only = caller.only.as_ref().map(|only| only.to_vec());
        Ok(self.shared.store.customers_waiting(caller.user_of_lists(), only).await?)
    }
}
