//! Texts with places to fill in: `{{customer_name}}`. What is filled in is never read again.

/// What there is to fill in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// The customer's name for themselves, or their number.
    pub customer_name: &'a str,
    /// Their number.
    pub customer_phone: &'a str,
    /// What they wrote last.
    pub last_message: &'a str,
    /// What was said before.
    pub summary: &'a str,
    /// Why they are handed over.
    pub reason: &'a str,
    /// Where to write to them.
    pub link: &'a str,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "customer_name" => self.customer_name,
            "customer_phone" => self.customer_phone,
            "last_message" => self.last_message,
            "summary" => self.summary,
            "reason" => self.reason,
            "link" => self.link,
            _ => return None,
        })
    }
}

/// The places that a template may have.
pub const PLACES: &str = "customer_name, customer_phone, last_message, summary, reason, link";

/// The first place of a template that nothing fills.
#[must_use]
pub fn unknown_place(template: &str) -> Option<&str> {
    let mut unknown = None;
    walk(
        template,
        |_| {},
        |name| {
            if Values::default().get(name).is_none() {
                unknown = unknown.or(Some(name));
            }
        },
    );
    unknown
}

/// Fills a template in.
#[must_use]
pub fn fill(template: &str, values: &Values<'_>) -> String {
    let mut filled = String::with_capacity(template.len());
    let text = std::cell::RefCell::new(&mut filled);
    walk(
        template,
        |plain| text.borrow_mut().push_str(plain),
        |name| text.borrow_mut().push_str(values.get(name).unwrap_or_default()),
    );
    filled
}

/// Hands out what is between the places, and their names.
fn walk<'a>(template: &'a str, mut plain: impl FnMut(&'a str), mut place: impl FnMut(&'a str)) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        plain(before);
        place(name.trim());
        rest = behind;
    }
    plain(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        let values = Values { customer_name: "{{link}}", link: "wa.me", ..Values::default() };
        assert_eq!(fill("Hi {{ customer_name }}: {{link}}!", &values), "Hi {{link}}: wa.me!");
        assert_eq!(fill("open {{customer_name", &values), "open {{customer_name");
        assert_eq!(unknown_place("{{link}} {{name}}"), Some("name"));
        assert_eq!(unknown_place("{{summary}} {x}"), None);
    }
}
