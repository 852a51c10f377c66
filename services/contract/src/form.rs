//! Input as it arrives, a JSON object or the fields of a form, and its check:
//! every field at once, so that a person mends all of them in one go.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// So many fields that there are none of an answer names at most; it is not to be longer than what was
/// sent.
pub const UNKNOWN_FIELDS_MAX: usize = 64;

/// What is wrong with one field: a stable word for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The member's name; empty where the whole body is meant.
    pub field: String,
    /// The rule that is broken.
    pub code: FieldCode,
    /// The same for a person.
    pub message: String,
}

/// The rules that a field can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FieldCode {
    /// The field is missing, null or empty.
    Required,
    /// The value has the wrong JSON type.
    WrongType,
    /// No field has this name.
    UnknownField,
    /// Fewer characters than allowed.
    TooShort,
    /// More characters than allowed.
    TooLong,
    /// A character that is not allowed.
    InvalidCharacter,
    /// The value has not the form that it must have.
    InvalidFormat,
    /// A number outside its range.
    OutOfRange,
    /// A password that attackers try first.
    CommonPassword,
    /// A password that is the user name or the e-mail address.
    SameAsIdentity,
    /// Somebody else has this value.
    Taken,
}

/// A broken rule, before it is known which field broke it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub code: FieldCode,
    /// The same for a person.
    pub message: String,
}

impl Violation {
    /// A broken rule and what to tell the person.
    pub fn new(code: FieldCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The violation as the error of `field`.
    pub fn of(self, field: &str) -> FieldError {
        FieldError { field: field.to_owned(), code: self.code, message: self.message }
    }
}

/// A value with a rule: what a field's text must be to become one.
pub trait Rule: Sized {
    /// Checks `text`, or says which rule it breaks.
    fn check(text: String) -> Result<Self, Violation>;
}

/// The body of a request: built from a form's fields, or a whole body checked.
pub trait Input: Sized {
    /// Takes this input's fields; `None` where one of them was refused.
    fn read(fields: &mut Fields) -> Option<Self>;

    /// Checks a whole form. All its errors are reported together.
    fn parse(form: Form) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(form);
        let input = Self::read(&mut fields);
        fields.finish(input)
    }
}

/// Input that is not checked yet.
///
/// Its [`Deserialize`] fails only on what is not JSON or names a member twice;
/// every other fault is a [`FieldError`] of [`Input::parse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    members: Members,
    not_an_object: bool,
}

/// An object's members; read from JSON, in the order of their names.
///
/// A form asks for a handful, one after the other. A `BTreeMap` would do as well, at three kilobytes
/// more of the client's WebAssembly.
#[derive(Clone, Debug, Default, PartialEq)]
struct Members(Vec<(String, Value)>);

impl Members {
    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }

    fn remove(&mut self, name: &str) -> Option<Value> {
        self.find(name).map(|place| self.0.remove(place).1)
    }

    /// Reads an object. Whoever sends it has chosen how many members it has, and in which order: they
    /// are sorted once.
    fn read<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, Value>()? {
            members.push(member);
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        // RFC 8259 leaves a repeated name undefined, and readers differ in which one counts: it is
        // refused.
        if members.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(A::Error::custom("a member is given twice"));
        }
        Ok(Self(members))
    }
}

#[derive(Clone, PartialEq)]
enum Value {
    Text(String),
    Null,
    Other,
}

impl fmt::Debug for Value {
    /// Never shows the text: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Null => "Null",
            Self::Other => "Other",
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Form {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut form = Self::default();
        for (name, text) in members {
            let name = name.into();
            if form.members.find(&name).is_none() {
                form.members.0.push((name, Value::Text(text.into())));
            }
        }
        form
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Form {
    fn from(members: [(K, V); N]) -> Self {
        members.into_iter().collect()
    }
}

/// Takes fields out of a [`Form`] and collects what is wrong with them.
#[derive(Debug)]
pub struct Fields {
    form: Form,
    errors: Vec<FieldError>,
}

impl Fields {
    fn new(form: Form) -> Self {
        Self { form, errors: Vec::new() }
    }

    /// The field `name`, checked; `None` and a recorded error where it is refused.
    pub fn take<T: Rule>(&mut self, name: &str) -> Option<T> {
        let checked = match self.form.members.remove(name) {
            None | Some(Value::Null) => {
                Err(Violation::new(FieldCode::Required, "This field is required."))
            }
            Some(Value::Other) => {
                Err(Violation::new(FieldCode::WrongType, "This field must be a string."))
            }
            Some(Value::Text(text)) if text.contains('\0') => Err(Violation::new(
                FieldCode::InvalidCharacter,
                "The character U+0000 is not allowed.",
            )),
            Some(Value::Text(text)) => T::check(text),
        };
        checked.map_err(|violation| self.refuse(name, violation)).ok()
    }

    /// Records that the field `name` breaks a rule.
    pub fn refuse(&mut self, name: &str, violation: Violation) {
        self.errors.push(violation.of(name));
    }

    fn finish<T>(mut self, input: Option<T>) -> Result<T, Vec<FieldError>> {
        if self.form.not_an_object {
            return Err(vec![
                Violation::new(FieldCode::WrongType, "The body must be a JSON object.").of(""),
            ]);
        }
        for (name, _) in self.form.members.0.iter().take(UNKNOWN_FIELDS_MAX) {
            let violation =
                Violation::new(FieldCode::UnknownField, "There is no field of this name.");
            self.errors.push(violation.of(name));
        }
        match input {
            Some(input) if self.errors.is_empty() => Ok(input),
            _ => Err(self.errors),
        }
    }
}

/// Text that only has to be there: a password or a token that is about to be compared.
impl Rule for String {
    fn check(text: String) -> Result<Self, Violation> {
        if text.is_empty() {
            return Err(Violation::new(FieldCode::Required, "This field is required."));
        }
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;

        impl<'de> Visitor<'de> for Body {
            type Value = Form;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Form, A::Error> {
                Ok(Form { members: Members::read(map)?, not_an_object: false })
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_unit<E: Error>(self) -> Result<Form, E> {
                Ok(not_an_object())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Form, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(not_an_object())
            }
        }

        fn not_an_object() -> Form {
            Form { members: Members::default(), not_an_object: true }
        }

        deserializer.deserialize_any(Body)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Member;

        impl<'de> Visitor<'de> for Member {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
            fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }
            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                while seq.next_element::<Value>()?.is_some() {}
                Ok(Value::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                Members::read(map).map(|_| Value::Other)
            }
        }

        deserializer.deserialize_any(Member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewUser, Username};

    fn errors(json: &str) -> Vec<(String, FieldCode)> {
        let form: Form = serde_json::from_str(json).unwrap();
        let errors = NewUser::parse(form).unwrap_err();
        errors.into_iter().map(|e| (e.field, e.code)).collect()
    }

    fn field(name: &str, code: FieldCode) -> (String, FieldCode) {
        (name.to_owned(), code)
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        assert_eq!(
            errors(r#"{"username": 7, "email": "nobody", "admin": true}"#),
            [
                field("username", FieldCode::WrongType),
                field("email", FieldCode::InvalidFormat),
                field("password", FieldCode::Required),
                field("admin", FieldCode::UnknownField),
            ]
        );
    }

    #[test]
    fn a_member_given_twice_is_not_json_to_us() {
        for twice in [
            r#"{"email": "a@b.c", "email": "d@e.f"}"#,
            r#"{"x": {"y": 1, "y": 2}}"#,
            r#"{"email": "a@b.c", "\u0065mail": "d@e.f"}"#,
            r#"{"email": "a@b.c", "admin": true, "username": "x", "email": "a@b.c"}"#,
        ] {
            assert!(serde_json::from_str::<Form>(twice).is_err(), "{twice}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_one_error() {
        for body in ["[]", "[1, {}]", "\"x\"", "1", "-1", "1.5", "null", "true"] {
            assert_eq!(errors(body), [field("", FieldCode::WrongType)], "{body}");
        }
    }

    /// In the order that took the longest when each was put in its place among those before it: half a
    /// minute, and now a fraction of a second.
    #[test]
    fn members_are_read_in_no_time_whatever_their_order() {
        let members: Vec<_> = (0..100_000).rev().map(|n| format!("\"{n:06}\":0")).collect();
        let members = members.join(",");
        let begin = std::time::Instant::now();
        for json in [format!("{{{members}}}"), format!("{{\"x\":{{{members}}}}}")] {
            assert!(!errors(&json).is_empty());
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[test]
    fn of_many_unknown_fields_the_first_are_named() {
        let members: Vec<_> = (0..1000).rev().map(|n| format!("\"x{n:04}\": 0")).collect();
        let all = errors(&format!("{{{}}}", members.join(",")));
        let unknown: Vec<_> =
            all.iter().filter(|(_, code)| *code == FieldCode::UnknownField).collect();
        assert_eq!(unknown.len(), UNKNOWN_FIELDS_MAX);
        assert_eq!(unknown.first().map(|(name, _)| name.as_str()), Some("x0000"));
        assert_eq!(all.len(), unknown.len() + 3, "and those that are missing");
    }

    #[test]
    fn null_and_nul_are_refused() {
        let all = errors(r#"{"username": null, "email": "a\u0000@b.c", "password": ""}"#);
        assert_eq!(
            all,
            [
                field("username", FieldCode::Required),
                field("email", FieldCode::InvalidCharacter),
                field("password", FieldCode::Required),
            ]
        );
    }

    #[test]
    fn a_form_of_fields_is_checked_alike() {
        let form = Form::from([("username", "michael"), ("email", "m@example.com")]);
        let errors = NewUser::parse(form).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].field, "password");
    }

    #[test]
    fn the_debug_form_shows_no_text() {
        let form = Form::from([("password", "a secret of mine")]);
        assert!(!format!("{form:?}").contains("secret"));
    }

    #[test]
    fn one_field_can_be_checked_alone() {
        assert!(Username::check("michael".to_owned()).is_ok());
    }
}
