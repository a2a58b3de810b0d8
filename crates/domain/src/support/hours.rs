//! When somebody is there: hours of the week in the owner's time zone, and days off.

use crate::clock::Millis;
use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most spans of a day, and most days off.
const MAX_SPANS: usize = 10;
const MAX_HOLIDAYS: usize = 400;
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// From a time of the day to another, as `09:00` and `18:00`. An end before the beginning is on the next day.
/// `"09:00-18:00"` and `["09:00", "18:00"]` are read too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Span {
    /// When somebody comes.
    pub from: String,
    /// When the last one goes; `24:00` is midnight.
    pub to: String,
}

/// The ways to write a span.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Named { from: String, to: String },
    Pair(String, String),
    Text(String),
}

impl From<Written> for Span {
    fn from(written: Written) -> Self {
        match written {
            Written::Named { from, to } | Written::Pair(from, to) => Self { from, to },
            Written::Text(text) => {
                let (from, to) = text.split_once('-').unwrap_or((&text, ""));
                Self { from: from.trim().to_owned(), to: to.trim().to_owned() }
            }
        }
    }
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BusinessHours {
    /// A name of the time zone database: `America/Sao_Paulo`.
    pub time_zone: String,
    /// By the English name of the day, or its first three letters; a day that is missing is off.
    pub weekly: BTreeMap<String, Vec<Span>>,
    /// Days off: `2026-12-25`, or `12-25` for every year.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// What a customer is told when nobody is there.
    #[serde(default)]
    pub message: String,
}

impl BusinessHours {
    /// Says what of it can't be used.
    ///
    /// # Errors
    /// A sentence for the owner.
    pub fn check(&self) -> Result<(), String> {
        if TimeZone::get(&self.time_zone).is_err() {
            return Err("timeZone is a name like America/Sao_Paulo or Europe/Berlin".to_owned());
        }
        for (day, spans) in &self.weekly {
            if weekday(day).is_none() {
                return Err("weekly has the days monday, tuesday, … sunday".to_owned());
            }
            let good = |span: &Span| minutes(&span.from).is_some() && minutes(&span.to).is_some();
            if spans.len() > MAX_SPANS || !spans.iter().all(good) {
                return Err(format!(
                    "a day has at most {MAX_SPANS} spans, each from and to as 09:00 and 18:00"
                ));
            }
        }
        if self.holidays.len() > MAX_HOLIDAYS || !self.holidays.iter().all(|day| is_day(day)) {
            return Err(format!(
                "at most {MAX_HOLIDAYS} holidays, each as 2026-12-25, or 12-25 for every year"
            ));
        }
        Ok(())
    }

    /// Whether somebody is there. With a time zone that is not known any more, always.
    #[must_use]
    pub fn is_open(&self, at: Millis) -> bool {
        let Ok(zone) = TimeZone::get(&self.time_zone) else { return true };
        let Ok(instant) = Timestamp::from_millisecond(at.0) else { return true };
        let local = zone.to_datetime(instant);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let today = self.spans_of(local.date()).any(|(from, to)| minute >= from && minute < to);
        let yesterday = local.date().yesterday().is_ok_and(|day| {
            // What began yesterday and goes beyond midnight.
            self.spans_of(day).any(|(_, to)| minute + 24 * 60 < to)
        });
        today || yesterday
    }

    /// The spans of a day in minutes; the end may be behind midnight.
    fn spans_of(&self, day: Date) -> impl Iterator<Item = (i32, i32)> {
        let off = self.holidays.iter().any(|holiday| falls_on(holiday, day));
        let spans = self
            .weekly
            .iter()
            .filter(move |(name, _)| !off && weekday(name) == Some(day.weekday()));
        spans.flat_map(|(_, spans)| spans).filter_map(|span| {
            let (from, to) = (minutes(&span.from)?, minutes(&span.to)?);
            Some((from, if to <= from { to + 24 * 60 } else { to }))
        })
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    let same = |day: &str| day.eq_ignore_ascii_case(name) || day[..3].eq_ignore_ascii_case(name);
    DAYS.iter().find(|(day, _)| same(day)).map(|(_, day)| *day)
}

fn minutes(time: &str) -> Option<i32> {
    if time == "24:00" {
        return Some(24 * 60);
    }
    let (hour, minute) = time.split_once(':')?;
    let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
    let time = (two(hour) && two(minute))
        .then(|| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok())??;
    Some(i32::from(time.hour()) * 60 + i32::from(time.minute()))
}

fn is_day(day: &str) -> bool {
    // A leap year, so that the 29th of February is a day.
    day.parse::<Date>().is_ok() || format!("2024-{day}").parse::<Date>().is_ok()
}

fn falls_on(holiday: &str, day: Date) -> bool {
    let text = day.to_string();
    text == holiday || text.split_once('-').is_some_and(|(_, rest)| rest == holiday)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours() -> BusinessHours {
        let span = |from: &str, to: &str| Span { from: from.to_owned(), to: to.to_owned() };
        BusinessHours {
            time_zone: "America/Sao_Paulo".to_owned(),
            weekly: BTreeMap::from([
                ("monday".to_owned(), vec![span("09:00", "12:00"), span("13:00", "18:00")]),
                ("friday".to_owned(), vec![span("20:00", "02:00")]),
            ]),
            holidays: vec!["2026-01-12".to_owned(), "12-25".to_owned()],
            message: String::new(),
        }
    }

    fn open(at: &str) -> bool {
        hours().is_open(Millis::parse_rfc3339(at).expect("a time"))
    }

    #[test]
    fn hours_are_the_owners_not_the_servers() {
        assert!(open("2026-01-05T12:00:00Z"), "nine in the morning in São Paulo");
        assert!(!open("2026-01-05T11:59:00Z"));
        assert!(!open("2026-01-05T15:30:00Z"), "lunch");
        assert!(!open("2026-01-06T12:00:00Z"), "no Tuesdays");
        assert!(open("2026-01-10T04:30:00Z"), "half past one on Saturday belongs to Friday");
        assert!(!open("2026-01-10T05:00:00Z"));
        assert!(!open("2026-01-12T12:00:00Z"), "a day off");
        assert!(!open("2026-12-25T23:30:00Z"), "one of every year");
    }

    #[test]
    fn what_can_not_be_used_is_said() {
        assert_eq!(hours().check(), Ok(()));
        let bad = [
            BusinessHours { time_zone: "Moon/Base".to_owned(), ..hours() },
            BusinessHours { holidays: vec!["Christmas".to_owned()], ..hours() },
            BusinessHours { weekly: BTreeMap::from([("someday".to_owned(), vec![])]), ..hours() },
        ];
        for hours in bad {
            assert!(hours.check().is_err(), "{hours:?}");
        }
        let read = |text| serde_json::from_str::<Span>(text).expect("a span");
        assert_eq!(read("\"09:00-18:00\""), read(r#"["09:00", "18:00"]"#));
        assert_eq!(read("\"09:00-18:00\""), read(r#"{"from": "09:00", "to": "18:00"}"#));
        assert_eq!((minutes("24:00"), minutes("9:00"), minutes("25:00")), (Some(1440), None, None));
    }
}
