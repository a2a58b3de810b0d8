//! The form of hand-offs: its fields as they are typed, and the change that they mean.

use crate::dashboard::session::Submitted;
use crate::problem::Problem;
use flowcore_domain::support::hours::{BusinessHours, Span};
use flowcore_domain::support::{SupportConfig, SupportPhone};
use flowcore_gateway::{Held, SupportPatch};
use std::collections::BTreeMap;

/// The days of a week, as the API calls them.
pub(super) const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What stands in the form.
pub(super) struct Fields {
    pub(super) active: bool,
    pub(super) phones: String,
    pub(super) customer: String,
    pub(super) support: String,
    pub(super) by_hours: bool,
    pub(super) time_zone: String,
    /// The hours of each of [`DAYS`], as `09:00-12:00, 13:00-18:00`.
    pub(super) week: [String; 7],
    pub(super) holidays: String,
    pub(super) closed_message: String,
    pub(super) auto_return: String,
}

impl Fields {
    /// What is stored.
    pub(super) fn of(config: &SupportConfig) -> Self {
        let hours = config.business_hours.as_ref();
        let phones = config.phones.iter().map(|one| format!("{} {}", one.number, one.name));
        let phones: Vec<String> = phones.map(|line| line.trim().to_owned()).collect();
        Self {
            active: config.is_active,
            phones: phones.join("\n"),
            customer: config.customer_template.clone(),
            support: config.support_template.clone(),
            by_hours: hours.is_some(),
            time_zone: hours.map(|hours| hours.time_zone.clone()).unwrap_or_default(),
            week: DAYS.map(|day| hours.map(|hours| spans(hours, day)).unwrap_or_default()),
            holidays: hours.map(|hours| hours.holidays.join("\n")).unwrap_or_default(),
            closed_message: hours.map(|hours| hours.message.clone()).unwrap_or_default(),
            auto_return: config.auto_return_minutes.map(|it| it.to_string()).unwrap_or_default(),
        }
    }

    /// What was typed.
    pub(super) fn typed(form: &Submitted) -> Self {
        let text = |name: &str| form.typed(name).to_owned();
        Self {
            active: form.has("isActive"),
            phones: text("phones"),
            customer: text("customerTemplate"),
            support: text("supportTemplate"),
            by_hours: form.has("byHours"),
            time_zone: text("businessHours.timeZone"),
            week: DAYS.map(|day| text(&format!("businessHours.weekly.{day}"))),
            holidays: text("businessHours.holidays"),
            closed_message: text("businessHours.message"),
            auto_return: text("autoReturnMinutes"),
        }
    }
}

/// The hours of a day; days may be stored by their first three letters.
fn spans(hours: &BusinessHours, day: &str) -> String {
    let same = |name: &str| name.eq_ignore_ascii_case(day) || name.eq_ignore_ascii_case(&day[..3]);
    let of_day = hours.weekly.iter().filter(|(name, _)| same(name)).flat_map(|(_, spans)| spans);
    let texts: Vec<String> = of_day.map(|span| format!("{}-{}", span.from, span.to)).collect();
    texts.join(", ")
}

/// What the form changes: everything.
pub(super) fn patch(form: &Submitted) -> Result<SupportPatch, Problem> {
    let minutes = form.given("autoReturnMinutes").map(str::parse::<i64>).transpose();
    let minutes = minutes.map_err(|_| {
        let rule = form.viewer.language.fill("{} is a number.", "autoReturnMinutes");
        Problem::field("invalid_form", "The form does not fit", "autoReturnMinutes", rule)
    })?;
    let text = |name| Some(form.text(name).replace("\r\n", "\n"));
    Ok(SupportPatch {
        is_active: Some(form.has("isActive")),
        phones: Some(lines(form, "phones").map(phone).collect()),
        customer_template: text("customerTemplate"),
        support_template: text("supportTemplate"),
        business_hours: Held::Set(form.has("byHours").then(|| hours(form))),
        auto_return_minutes: Held::Set(minutes),
    })
}

fn hours(form: &Submitted) -> BusinessHours {
    let of_day = |day: &str| -> Vec<Span> {
        let typed = form.text(&format!("businessHours.weekly.{day}"));
        let typed = typed.split(',').map(str::trim).filter(|text| !text.is_empty());
        typed.map(span).collect()
    };
    let week = DAYS.iter().map(|day| ((*day).to_owned(), of_day(day)));
    let week: BTreeMap<_, _> = week.filter(|(_, spans)| !spans.is_empty()).collect();
    BusinessHours {
        time_zone: form.text("businessHours.timeZone").to_owned(),
        weekly: week,
        holidays: lines(form, "businessHours.holidays").map(str::to_owned).collect(),
        message: form.text("businessHours.message").replace("\r\n", "\n"),
    }
}

/// `09:00-18:00`; what is no span is left to the rule that refuses it.
fn span(text: &str) -> Span {
    let (from, to) = text.split_once('-').unwrap_or((text, ""));
    Span { from: from.trim().to_owned(), to: to.trim().to_owned() }
}

/// A number, and behind its digits whose it is.
fn phone(line: &str) -> SupportPhone {
    let named = line.find(|c: char| !(c.is_ascii_digit() || " +-().".contains(c)));
    let (number, name) = line.split_at(named.unwrap_or(line.len()));
    SupportPhone { number: number.trim().to_owned(), name: name.trim().to_owned() }
}

/// One entry a line.
fn lines<'a>(form: &'a Submitted, name: &str) -> impl Iterator<Item = &'a str> {
    form.typed(name).lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_its_digits_and_then_a_name() {
        let read = |line| {
            let SupportPhone { number, name } = phone(line);
            (number, name)
        };
        assert_eq!(
            read("+55 (11) 98888-7777 Maria 2"),
            ("+55 (11) 98888-7777".into(), "Maria 2".into())
        );
        assert_eq!(read("5511988887777"), ("5511988887777".into(), String::new()));
    }
}
