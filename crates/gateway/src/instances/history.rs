//! How much of its history an instance keeps.

use super::Instances;
use crate::accounts::Caller;
use crate::error::ServiceError;
use flowcore_domain::instance::InstanceName;
use flowcore_storage::Retention;

impl Instances {
    /// How much history the instance keeps.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn history(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Retention, ServiceError> {
        let instance = self.find(caller, name).await?;
        Ok(self.shared.store.retention(instance.id).await?)
    }

    /// Changes how much history the instance keeps. What is beyond it is forgotten within the hour.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn set_history(
        &self,
        caller: &Caller,
        name: &InstanceName,
        kept: Retention,
    ) -> Result<(), ServiceError> {
        let instance = self.find(caller, name).await?;
        Ok(self.shared.store.set_retention(instance.id, kept).await?)
    }
}
