//! E-mail addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::form::{FieldCode, Rule, Violation};

/// An e-mail address: 3 to 254 characters, `local@domain`, without blanks around it.
///
/// The grammar is the one of HTML's "valid e-mail address", so that the browser's
/// own check and ours agree; 254 is the longest that SMTP can carry (RFC 5321,
/// 4.5.3.1.3, less the angle brackets). Unique ignoring case, which the database
/// enforces; kept as it was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The fewest characters.
    pub const MIN: usize = 3;
    /// The most characters.
    pub const MAX: usize = 254;
    /// The rule as a regular expression, for the OpenAPI document.
    pub const PATTERN: &str = "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+\
        @[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl Rule for Email {
    fn check(text: String) -> Result<Self, Violation> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if text.is_empty() {
            return Err(Violation::new(FieldCode::Required, "Email is required."));
        }
        if text.len() > Self::MAX {
            let message = format!("Email must have at most {} characters.", Self::MAX);
            return Err(Violation::new(FieldCode::TooLong, message));
        }
        let valid = text
            .split_once('@')
            .is_some_and(|(local, domain)| is_local(local) && domain.split('.').all(is_label));
        if !valid {
            return Err(Violation::new(
                FieldCode::InvalidFormat,
                "Email must be an address such as name@example.com.",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Email {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::check(text).map_err(|violation| violation.message)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<String, FieldCode> {
        Email::check(text.to_owned()).map(String::from).map_err(|violation| violation.code)
    }

    #[test]
    fn what_is_accepted() {
        for address in ["a@b", "michael@mherman.org", "o'brien+tag@xn--bcher-kva.example"] {
            assert_eq!(check(address).as_deref(), Ok(address));
        }
        assert_eq!(check(" a@b.c\r\n").as_deref(), Ok("a@b.c"));
    }

    #[test]
    fn what_is_refused_and_why() {
        assert_eq!(check(" \t"), Err(FieldCode::Required));
        assert_eq!(check(&format!("{}@b", "a".repeat(253))), Err(FieldCode::TooLong));
        for bad in [
            "nobody",
            "@b.c",
            "a@",
            "a@@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@.b",
            "a@b.",
            "ä@b.c",
            "a@bü.c",
            "a@b.c\u{0}",
            "a,b@c",
            "<a@b>",
            "a@b\u{a0}",
        ] {
            assert_eq!(check(bad), Err(FieldCode::InvalidFormat), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn well_formed_addresses_are_accepted(
            local in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}",
            domain in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?){0,3}",
        ) {
            let address = format!("{local}@{domain}");
            prop_assert_eq!(check(&address), Ok(address));
        }

        #[test]
        fn whatever_is_accepted_is_clean(text in ".*@.*") {
            if let Ok(address) = check(&text) {
                prop_assert!((3..=254).contains(&address.len()));
                prop_assert!(address.bytes().all(|b| b.is_ascii_graphic()));
                prop_assert_eq!(address.matches('@').count(), 1);
                prop_assert_eq!(check(&address), Ok(address));
            }
        }
    }
}
