//! Who trusts whom: the tokens that accounts gave each other, and what an account is restricted to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A token that one account issued to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) secret: Vec<u8>,
    pub(crate) issued_at: u64,
}

/// How an account behaves towards strangers, and what it is given. Read from its first push name:
/// `restricted:Name`, or `scenario:restricted,cs_enabled=0:Name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the push name")]
pub(crate) struct Scenario {
    /// Strangers need a token to write first.
    pub(crate) restricted: bool,
    /// Whether it accepts trusted-contact tokens.
    pub(crate) tc_enabled: bool,
    /// Whether it accepts tokens made from the salt.
    pub(crate) cs_enabled: bool,
    pub(crate) nct_send_property: bool,
    pub(crate) nct_history_property: bool,
    pub(crate) nct_app_state_property: bool,
    pub(crate) nct_by_history: bool,
    pub(crate) nct_by_app_state: bool,
    /// Its direct chats go by LID.
    pub(crate) lid_migrated: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            restricted: false,
            tc_enabled: true,
            cs_enabled: true,
            nct_send_property: false,
            nct_history_property: false,
            nct_app_state_property: false,
            nct_by_history: false,
            nct_by_app_state: false,
            lid_migrated: false,
        }
    }
}

impl Scenario {
    /// What a push name asks for; most ask for nothing.
    pub(crate) fn of(push_name: &str) -> Self {
        let mut scenario = Self::default();
        if push_name.starts_with("restricted:") {
            scenario.restricted = true;
        } else if let Some(rest) = push_name.strip_prefix("scenario:") {
            let flags = rest.split(':').next().unwrap_or_default();
            flags.split(',').for_each(|flag| scenario.set(flag.trim()));
        }
        scenario
    }

    fn set(&mut self, flag: &str) {
        let (name, value) = flag.split_once('=').unwrap_or((flag, "1"));
        let field = match name {
            "restricted" => &mut self.restricted,
            "tc_enabled" => &mut self.tc_enabled,
            "cs_enabled" => &mut self.cs_enabled,
            "nct_send_ab" => &mut self.nct_send_property,
            "nct_history_ab" => &mut self.nct_history_property,
            "nct_syncd_ab" => &mut self.nct_app_state_property,
            "nct_history_delivery" => &mut self.nct_by_history,
            "nct_syncd_delivery" => &mut self.nct_by_app_state,
            "lid_migrated" => &mut self.lid_migrated,
            _ => return,
        };
        *field = value == "1";
    }
}

/// An account's tokens: what it issued, by phone number of who may use it.
pub(crate) type Issued = BTreeMap<String, Token>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_name_tells_the_scenario() {
        assert_eq!(Scenario::of("Ann"), Scenario::default());
        assert!(Scenario::of("restricted:Ann").restricted);
        let scenario = Scenario::of("scenario:restricted,cs_enabled=0,nct_history_delivery=1:Ann");
        assert!(scenario.restricted && !scenario.cs_enabled && scenario.nct_by_history);
        assert!(scenario.tc_enabled && !scenario.nct_by_app_state);
    }
}
