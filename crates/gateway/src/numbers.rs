//! Who is behind a number. Which numbers are on WhatsApp is remembered for a while: asking costs a round
//! trip, and asking too often looks like scanning to WhatsApp.

use crate::Shared;
use crate::error::ServiceError;

use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{Account, Session};
use flowcore_domain::jid::{Jid, Number, Server};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many numbers are remembered by the whole process (about 200 bytes each).
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");
/// How long a number that is on WhatsApp is believed to be.
const FOUND_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a number that is not is believed not to be: people join.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// How many numbers are asked for in one question.
const ASKED_AT_ONCE: usize = 100;

/// What is known of a number.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// It is this account.
    Account(Account),
    /// It is not on WhatsApp.
    Missing,
}

/// The memory.
#[derive(Debug)]
pub(crate) struct KnownNumbers(Mutex<LruCache<String, (Known, Millis)>>);

impl Default for KnownNumbers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl KnownNumbers {
    /// What is known of a number, while it is believed.
    pub(crate) fn get(&self, digits: &str, now: Millis) -> Option<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, until) = known.get(digits)?;
        (*until > now).then(|| what.clone())
    }

    /// Remembers an answer.
    pub(crate) fn remember(&self, digits: String, what: Known, now: Millis) {
        let lifetime = match what {
            Known::Account(_) => FOUND_FOR,
            Known::Missing => MISSING_FOR,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digits, (what, now.plus(lifetime)));
    }
}

/// The address behind a number as it was given, with the other one of the same person when known.
pub(crate) async fn resolve(
    shared: &Shared,
    session: &dyn Session,
    number: Number,
) -> Result<(Jid, Option<Jid>), ServiceError> {
    let digits = match number {
        Number::Address(jid) => return Ok((jid, None)),
        Number::Phone(digits) => digits,
    };
    match look_up(shared, session, &digits).await? {
        Some(account) => Ok((account.jid, account.lid)),
        None => Err(ServiceError::NumberNotOnWhatsApp { number: digits }),
    }
}

/// The account of a number in any of its spellings.
pub(crate) async fn look_up(
    shared: &Shared,
    session: &dyn Session,
    digits: &str,
) -> Result<Option<Account>, ServiceError> {
    let now = shared.now();
    let known = if let Some(known) = shared.numbers.get(digits, now) {
        known
    } else {
        let spellings = Number::spellings(digits);
        let found = session.look_up(&spellings).await?;
        let first = spellings.iter().find_map(|one| found.iter().find(|a| a.phone == *one));
        let known = first.or(found.first()).cloned().map_or(Known::Missing, Known::Account);
        shared.numbers.remember(digits.to_owned(), known.clone(), now);
        known
    };
    Ok(match known {
        Known::Account(account) => Some(account),
        Known::Missing => None,
    })
}

/// The addresses behind several numbers or addresses, each once; what is not known is asked for at once.
pub(crate) async fn resolve_all(
    shared: &Shared,
    session: &dyn Session,
    given: &[String],
) -> Result<Vec<Jid>, ServiceError> {
    let mut found = Vec::with_capacity(given.len());
    for checked in check_all(shared, session, given).await? {
        let Some(account) = checked.account else {
            return Err(ServiceError::NumberNotOnWhatsApp { number: checked.number });
        };
        if !found.contains(&account.jid) {
            found.push(account.jid);
        }
    }
    Ok(found)
}

/// A number, and who is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedNumber {
    /// As it was given.
    pub number: String,
    /// Its address, also when nobody is behind it.
    pub jid: Jid,
    /// Who is; `None` when nobody is. An address that was given in full is believed.
    pub account: Option<Account>,
}

/// Looks up many numbers with as few questions as there can be.
pub(crate) async fn check_all(
    shared: &Shared,
    session: &dyn Session,
    given: &[String],
) -> Result<Vec<CheckedNumber>, ServiceError> {
    let numbers: Vec<Number> =
        given.iter().map(|one| Number::parse(one)).collect::<Result<_, _>>()?;
    let now = shared.now();
    let unknown: Vec<&String> = numbers
        .iter()
        .filter_map(|number| match number {
            Number::Phone(digits) if shared.numbers.get(digits, now).is_none() => Some(digits),
            _ => None,
        })
        .collect();
    for some in unknown.chunks(ASKED_AT_ONCE) {
        let spellings: Vec<String> = some.iter().flat_map(|one| Number::spellings(one)).collect();
        let found = session.look_up(&spellings).await?;
        for digits in some {
            let known = Number::spellings(digits)
                .iter()
                .find_map(|one| found.iter().find(|account| account.phone == *one))
                .cloned()
                .map_or(Known::Missing, Known::Account);
            shared.numbers.remember((*digits).clone(), known, now);
        }
    }
    let mut checked = Vec::with_capacity(given.len());
    for (number, given) in numbers.into_iter().zip(given) {
        checked.push(checked_one(shared, session, number, given).await?);
    }
    Ok(checked)
}

async fn checked_one(
    shared: &Shared,
    session: &dyn Session,
    number: Number,
    given: &str,
) -> Result<CheckedNumber, ServiceError> {
    let (jid, account) = match number {
        Number::Address(jid) => {
            let phone = jid.phone().unwrap_or_default().to_owned();
            (jid.clone(), Some(Account { phone, jid, lid: None }))
        }
        Number::Phone(digits) => {
            let account = look_up(shared, session, &digits).await?;
            let typed = Jid::new(digits, Server::Person).expect("digits make an address");
            (account.as_ref().map_or(typed, |account| account.jid.clone()), account)
        }
    };
    Ok(CheckedNumber { number: given.to_owned(), jid, account })
}
