//! User names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::form::{FieldCode, Rule, Violation};

/// A user name: 3 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `_`, `.` and `-`.
///
/// Unique ignoring case, which the database enforces; shown as it was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

impl Username {
    /// The fewest characters.
    pub const MIN: usize = 3;
    /// The most characters.
    pub const MAX: usize = 64;
    /// The rule as a regular expression, for the OpenAPI document.
    pub const PATTERN: &str = "^[A-Za-z0-9_.-]+$";

    /// Whether a name can begin with `text`: what a search for names takes.
    pub fn can_begin_with(text: &str) -> bool {
        (1..=Self::MAX).contains(&text.len()) && text.chars().all(is_allowed)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

impl Rule for Username {
    fn check(text: String) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::new(FieldCode::Required, "Username is required."));
        }
        if !text.chars().all(is_allowed) {
            return Err(Violation::new(
                FieldCode::InvalidCharacter,
                "Username may have letters, digits, “_”, “.” and “-” only.",
            ));
        }
        if text.len() < Self::MIN {
            let message = format!("Username must have at least {} characters.", Self::MIN);
            return Err(Violation::new(FieldCode::TooShort, message));
        }
        if text.len() > Self::MAX {
            let message = format!("Username must have at most {} characters.", Self::MAX);
            return Err(Violation::new(FieldCode::TooLong, message));
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Username {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::check(text).map_err(|violation| violation.message)
    }
}

impl From<Username> for String {
    fn from(username: Username) -> Self {
        username.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> FieldCode {
        Username::check(text.to_owned()).unwrap_err().code
    }

    #[test]
    fn what_is_refused_and_why() {
        assert_eq!(code(""), FieldCode::Required);
        assert_eq!(code("ab"), FieldCode::TooShort);
        assert_eq!(code(&"a".repeat(65)), FieldCode::TooLong);
        assert_eq!(code("michael herman"), FieldCode::InvalidCharacter);
        assert_eq!(code("michaël"), FieldCode::InvalidCharacter);
    }

    proptest! {
        #[test]
        fn every_name_of_the_rule_is_accepted_unchanged(text in "[A-Za-z0-9_.-]{3,64}") {
            let name = Username::check(text.clone()).unwrap();
            prop_assert_eq!(name.as_str(), text);
        }

        #[test]
        fn nothing_else_is_accepted(text in ".*") {
            if let Ok(name) = Username::check(text) {
                let name = name.as_str();
                prop_assert!((3..=64).contains(&name.len()));
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
            }
        }
    }
}
