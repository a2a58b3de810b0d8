//! How much of the server a user may have. What has no limit here is not limited by a quota.
//!
//! Some are standing (so many instances at a time), some are counted in a window of UTC's calendar and
//! begin anew with the next. The store counts them in the transaction of what they allow.

use crate::clock::Millis;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quota {
    /// Instances at a time.
    Instances,
    /// Messages that are sent, a day.
    MessagesPerDay,
    /// Answers of the assistant, a month.
    AiRepliesPerMonth,
    /// Prompts that are written by a model, a month.
    PromptsPerMonth,
    /// Documents at a time.
    Documents,
    /// Bytes of all documents.
    DocumentBytes,
    /// Webhooks of all instances.
    Webhooks,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Instances,
        Self::MessagesPerDay,
        Self::AiRepliesPerMonth,
        Self::PromptsPerMonth,
        Self::Documents,
        Self::DocumentBytes,
        Self::Webhooks,
    ];

    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::MessagesPerDay => "messagesPerDay",
            Self::AiRepliesPerMonth => "aiRepliesPerMonth",
            Self::PromptsPerMonth => "promptsPerMonth",
            Self::Documents => "documents",
            Self::DocumentBytes => "documentBytes",
            Self::Webhooks => "webhooks",
        }
    }

    /// The calendar's day or month in which use is counted now; empty for what is standing.
    #[must_use]
    pub fn period(self, now: Millis) -> String {
        let today = date(now);
        match self {
            Self::MessagesPerDay => today.to_string(),
            Self::AiRepliesPerMonth | Self::PromptsPerMonth => {
                format!("{:04}-{:02}", today.year(), today.month())
            }
            _ => String::new(),
        }
    }

    /// When counting begins anew; `None` for what is standing.
    #[must_use]
    pub fn renews(self, now: Millis) -> Option<Millis> {
        let today = date(now);
        let next = match self {
            Self::MessagesPerDay => today.checked_add(1.day()),
            Self::AiRepliesPerMonth | Self::PromptsPerMonth => {
                today.first_of_month().checked_add(1.month())
            }
            _ => return None,
        };
        let midnight = next.ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(Millis(midnight.timestamp().as_millisecond()))
    }
}

fn date(now: Millis) -> Date {
    let at = Timestamp::from_millisecond(now.0).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date()
}

/// The limits of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quotas(BTreeMap<Quota, u64>);

/// A change of some limits: `None` takes one away.
pub type QuotaPatch = BTreeMap<Quota, Option<u64>>;

impl Quotas {
    /// The limit; `None` for no limit.
    #[must_use]
    pub fn limit(&self, quota: Quota) -> Option<u64> {
        self.0.get(&quota).copied()
    }

    /// With what a patch names changed.
    #[must_use]
    pub fn patched(mut self, patch: &QuotaPatch) -> Self {
        for (quota, limit) in patch {
            match limit {
                Some(limit) => self.0.insert(*quota, *limit),
                None => self.0.remove(quota),
            };
        }
        self
    }
}

/// Somebody has as much as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} {} is reached", .quota.as_str())]
pub struct OverQuota {
    /// Of what.
    pub quota: Quota,
    /// How much is allowed.
    pub limit: u64,
    /// How much there is.
    pub used: u64,
    /// When counting begins anew.
    pub renews: Option<Millis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn windows_are_those_of_the_calendar() {
        let (late, quota) = (at("2026-12-31T23:59:59Z"), Quota::PromptsPerMonth);
        assert_eq!(quota.period(late), "2026-12");
        assert_eq!(quota.renews(late), Some(at("2027-01-01T00:00:00Z")));
        assert_eq!(Quota::MessagesPerDay.period(late), "2026-12-31");
        assert_eq!(Quota::MessagesPerDay.renews(late), Some(at("2027-01-01T00:00:00Z")));
        assert_eq!(Quota::Instances.period(late), "");
        assert_eq!(Quota::Instances.renews(late), None);
    }

    #[test]
    fn words_are_those_of_the_api() {
        for quota in Quota::ALL {
            assert_eq!(serde_json::json!(quota), quota.as_str());
        }
        let quotas: Quotas = serde_json::from_str("{\"instances\":3}").expect("quotas");
        let patch = QuotaPatch::from([(Quota::Instances, None), (Quota::Webhooks, Some(1))]);
        assert_eq!(serde_json::json!(quotas.patched(&patch)), serde_json::json!({"webhooks": 1}));
        assert!(serde_json::from_str::<Quotas>("{\"instance\":3}").is_err());
    }
}
