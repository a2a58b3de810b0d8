//! People over one client: others, and the owner of the number.

use super::session::WebSession;
use super::{error, translate};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::engine::{
    Account, BusinessProfile, EngineError, People, PrivacyKind, PrivacyValue, Profile,
};
use flowcore_domain::jid::Jid;
use wacore::iq::privacy::{PrivacyCategory as WireKind, PrivacyValue as WireValue};

#[async_trait]
impl People for WebSession {
    async fn look_up(&self, phones: &[String]) -> Result<Vec<Account>, EngineError> {
        let client = self.client()?;
        let jids: Vec<_> = phones.iter().map(wacore_binary::Jid::pn).collect();
        let found = client
            .contacts()
            .is_on_whatsapp(&jids)
            .await
            .map_err(|failure| error::of_any(&failure))?;
        Ok(found.iter().filter_map(translate::account).collect())
    }

    async fn picture_of(&self, jid: &Jid) -> Result<Option<String>, EngineError> {
        let client = self.client()?;
        let found =
            client.contacts().get_profile_picture(&translate::wire_address(jid), false).await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        Ok(found.map(|picture| picture.url))
    }

    async fn profile_of(&self, jid: &Jid) -> Result<Profile, EngineError> {
        let client = self.client()?;
        let wanted = translate::wire_address(jid);
        let found = client.contacts().get_user_info(std::slice::from_ref(&wanted)).await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        let answer = found.into_values().next();
        Ok(answer.map_or_else(Profile::default, |info| Profile {
            about: info.status,
            verified_name: info.verified_name.and_then(|verified| verified.name),
            is_business: info.is_business,
        }))
    }

    async fn business_profile_of(&self, jid: &Jid) -> Result<Option<BusinessProfile>, EngineError> {
        let client = self.client()?;
        let found = client.get_business_profile(&translate::wire_address(jid)).await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        Ok(found.map(|shown| BusinessProfile {
            description: Some(shown.description).filter(|text| !text.is_empty()),
            email: shown.email,
            websites: shown.website,
            address: shown.address,
            categories: shown.categories.into_iter().map(|category| category.name).collect(),
        }))
    }

    async fn set_name(&self, name: &str) -> Result<(), EngineError> {
        let done = self.client()?.profile().set_push_name(name).await;
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn set_about(&self, text: &str) -> Result<(), EngineError> {
        let done = self.client()?.profile().set_status_text(text).await;
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn set_picture(&self, jpeg: Option<Bytes>) -> Result<(), EngineError> {
        let client = self.client()?;
        let done = match jpeg {
            Some(jpeg) => client.profile().set_profile_picture(jpeg.into()).await,
            None => client.profile().remove_profile_picture().await,
        };
        done.map(drop).map_err(|failure| error::of_any(&failure))
    }

    async fn privacy(&self) -> Result<Vec<(PrivacyKind, PrivacyValue)>, EngineError> {
        let found = self.client()?.fetch_privacy_settings().await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        let known = PrivacyKind::ALL.into_iter().filter_map(|kind| {
            let value = found.get_value(&wire_kind(kind))?;
            Some((kind, read_value(value)?))
        });
        Ok(known.collect())
    }

    async fn set_privacy(&self, kind: PrivacyKind, value: PrivacyValue) -> Result<(), EngineError> {
        if !value.fits(kind) {
            let (kind, value) = (kind.as_str(), value.as_str());
            return Err(EngineError::Invalid(format!("{kind} can't be {value}")));
        }
        let done = self.client()?.set_privacy_setting(wire_kind(kind), wire_value(value)).await;
        done.map(drop).map_err(|failure| error::of_any(&failure))
    }

    async fn block(&self, jid: &Jid, blocked: bool) -> Result<(), EngineError> {
        let client = self.client()?;
        let wanted = translate::wire_address(jid);
        // WhatsApp wants both addresses; a look-up teaches the client the other one.
        if wanted.is_pn() && matches!(client.get_lid_pn_entry(&wanted).await, Ok(None)) {
            let asked = client.contacts().is_on_whatsapp(std::slice::from_ref(&wanted)).await;
            asked.map_err(|failure| error::of_any(&failure))?;
        }
        let done = if blocked {
            client.blocking().block(&wanted).await
        } else {
            client.blocking().unblock(&wanted).await
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn blocked(&self) -> Result<Vec<Jid>, EngineError> {
        let found = self.client()?.blocking().get_blocklist().await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        Ok(found.iter().map(|entry| translate::address(&entry.jid)).collect())
    }
}

fn wire_kind(kind: PrivacyKind) -> WireKind {
    match kind {
        PrivacyKind::ReadReceipts => WireKind::ReadReceipts,
        PrivacyKind::Picture => WireKind::Profile,
        PrivacyKind::About => WireKind::Status,
        PrivacyKind::Online => WireKind::Online,
        PrivacyKind::LastSeen => WireKind::Last,
        PrivacyKind::GroupAdd => WireKind::GroupAdd,
    }
}

fn wire_value(value: PrivacyValue) -> WireValue {
    match value {
        PrivacyValue::All => WireValue::All,
        PrivacyValue::Contacts => WireValue::Contacts,
        PrivacyValue::ContactBlacklist => WireValue::ContactBlacklist,
        PrivacyValue::Nobody => WireValue::None,
        PrivacyValue::MatchLastSeen => WireValue::MatchLastSeen,
    }
}

fn read_value(value: &WireValue) -> Option<PrivacyValue> {
    Some(match value {
        WireValue::All => PrivacyValue::All,
        WireValue::Contacts => PrivacyValue::Contacts,
        WireValue::ContactBlacklist => PrivacyValue::ContactBlacklist,
        WireValue::None => PrivacyValue::Nobody,
        WireValue::MatchLastSeen => PrivacyValue::MatchLastSeen,
        _ => return None,
    })
}
