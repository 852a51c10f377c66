//! Passwords that a person chooses.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    Email, Username,
    common_passwords::is_common,
    form::{FieldCode, Rule, Violation},
};

/// A new password: 12 to 128 characters, not one that attackers try first.
///
/// No rules of composition (OWASP ASVS 5.0, 6.2.5) and no normalisation: what was
/// typed is what is hashed. Its `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The fewest characters.
    pub const MIN: usize = 12;
    /// The most characters (OWASP ASVS 5.0, 6.2.9 asks for at least 64).
    pub const MAX: usize = 128;

    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Refuses a password that is the user's own name or address, ignoring case.
    pub fn differs_from(&self, username: &str, email: &str) -> Result<(), Violation> {
        // Names and addresses are ASCII.
        let own = self.0.trim();
        let local = email.split('@').next().unwrap_or(email);
        if [username, email, local].iter().any(|identity| own.eq_ignore_ascii_case(identity)) {
            return Err(Violation::new(
                FieldCode::SameAsIdentity,
                "Password must not be the username or the email.",
            ));
        }
        Ok(())
    }

    /// Like [`Self::differs_from`], for the fields of one form.
    pub(crate) fn differs_from_fields(
        &self,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<(), Violation> {
        self.differs_from(username.map_or("", Username::as_str), email.map_or("", Email::as_str))
    }
}

/// How well a password resists guessing, as far as its text alone can tell.
///
/// It goes by the rules and the length, which is what counts (NIST SP 800-63B, appendix A): a
/// score for mixing character classes would praise `P@ssw0rd1234`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// This many characters are missing.
    Short(usize),
    /// Attackers try it early, or it is too long to be taken.
    Refused,
    /// It obeys the rules.
    Fair,
    /// It obeys the rules and is long.
    Strong,
}

impl Strength {
    /// The fewest characters of a strong password.
    pub const STRONG: usize = 18;

    /// The strength of what has been typed.
    pub fn of(text: &str) -> Self {
        let length = text.chars().count();
        match Password::check(text.to_owned()) {
            _ if length < Password::MIN => Self::Short(Password::MIN.saturating_sub(length)),
            Err(_) => Self::Refused,
            Ok(_) if length < Self::STRONG => Self::Fair,
            Ok(_) => Self::Strong,
        }
    }
}

impl Rule for Password {
    fn check(text: String) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::new(FieldCode::Required, "Password is required."));
        }
        let length = text.chars().count();
        if length < Self::MIN {
            let message = format!("Password must have at least {} characters.", Self::MIN);
            return Err(Violation::new(FieldCode::TooShort, message));
        }
        if length > Self::MAX {
            let message = format!("Password must have at most {} characters.", Self::MAX);
            return Err(Violation::new(FieldCode::TooLong, message));
        }
        if is_common(&text) {
            return Err(Violation::new(
                FieldCode::CommonPassword,
                "This password is too easy to guess. Three or four words that do not belong \
                 together make a good one.",
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// For the client, which sends it; the server never serializes one.
impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Option<FieldCode> {
        Password::check(text.to_owned()).err().map(|violation| violation.code)
    }

    #[test]
    fn what_is_refused_and_why() {
        assert_eq!(code(""), Some(FieldCode::Required));
        assert_eq!(code("greaterthan"), Some(FieldCode::TooShort));
        assert_eq!(code(&"ä".repeat(11)), Some(FieldCode::TooShort));
        assert_eq!(code(&"x9 ".repeat(43)), Some(FieldCode::TooLong));
        assert_eq!(code("Password1234"), Some(FieldCode::CommonPassword));
        assert_eq!(code("greaterthaneight"), None);
        assert_eq!(code("correct staple of horses"), None);
    }

    #[test]
    fn ones_own_name_is_no_password() {
        let password = Password::check("Michael.Herman".to_owned()).unwrap();
        assert!(password.differs_from("michael.herman", "m@example.com").is_err());
        assert!(password.differs_from("michael", "MICHAEL.HERMAN@example.com").is_err());
        assert!(password.differs_from("michael", "m@example.com").is_ok());
    }

    #[test]
    fn strength_follows_the_rules_and_the_length() {
        for (text, strength) in [
            ("", Strength::Short(12)),
            ("greaterthan", Strength::Short(1)),
            ("ääääääääää", Strength::Short(2)),
            ("Password1234", Strength::Refused),
            ("greaterthaneight", Strength::Fair),
            ("correct staple of horses", Strength::Strong),
        ] {
            assert_eq!(Strength::of(text), strength, "{text}");
        }
        assert_eq!(Strength::of(&"x9 ".repeat(43)), Strength::Refused);
    }

    #[test]
    fn it_is_never_shown() {
        let password = Password::check("a secret of mine".to_owned()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
    }

    proptest! {
        #[test]
        fn the_length_counts_characters(text in "\\PC{0,140}") {
            let length = text.chars().count();
            let accepted = Password::check(text).is_ok();
            prop_assert!(!accepted || (12..=128).contains(&length));
        }

        #[test]
        fn what_is_fair_or_strong_is_accepted(text in "\\PC{0,140}") {
            let good = matches!(Strength::of(&text), Strength::Fair | Strength::Strong);
            prop_assert_eq!(good, Password::check(text).is_ok());
        }
    }
}
