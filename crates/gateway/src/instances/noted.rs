//! What happens around a number and is asked for later: its labels, and that a picture is another one.

use super::manners;
use crate::Shared;
use flowcore_domain::happening::{Happening, Person};
use flowcore_domain::id::InstanceId;
use flowcore_storage::{ContactFilter, Label, Page, StorageError};
use std::sync::Arc;

/// Keeps it.
pub(super) async fn note(shared: &Arc<Shared>, id: InstanceId, happening: &Happening) {
    let noted = match happening {
        Happening::LabelEdited { id: label, deleted: true, .. } => {
            shared.store.forget_label(id, label).await
        }
        Happening::LabelEdited { id: label, name, color, predefined, .. } => {
            let label = Label {
                id: label.clone(),
                name: name.clone().unwrap_or_default(),
                color: i64::from(color.unwrap_or_default()),
                predefined: predefined.map(|number| number.to_string()),
            };
            shared.store.note_label(id, label).await
        }
        Happening::PictureChanged { who } => forget_picture(shared, id, who).await,
        _ => Ok(()),
    };
    if let Err(error) = noted {
        tracing::error!(instance = %id, %error, "what happened could not be noted");
    }
}

/// Where the new one is, is asked for when it comes to that; the owner's own at once.
async fn forget_picture(
    shared: &Arc<Shared>,
    id: InstanceId,
    who: &Person,
) -> Result<(), StorageError> {
    if manners::own_picture_changed(shared, id, &who.jid) {
        return Ok(());
    }
    let filter = ContactFilter { address: Some(who.jid.clone()), ..ContactFilter::default() };
    let known = shared.store.find_contacts(id, &filter, Page { skip: 0, take: 1 }).await?;
    let addresses = known.into_iter().flat_map(|one| one.addresses);
    for address in addresses.chain([who.jid.clone()]) {
        shared.store.note_picture(id, &address, (None, shared.now())).await?;
    }
    Ok(())
}
