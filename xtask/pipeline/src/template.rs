//! The documents under `ecs/` with their placeholders filled in.
//!
//! A document is JSON first and has placeholders second: `${NAME}` stands inside a text, and what
//! it stands for never changes where that text ends. A quote, a newline or a `%` in a value is just
//! a character. A text that is nothing but `${NAME}` becomes a number or a truth value if
//! `pipeline.toml` says that it is one. `$${` is a plain `${`.
//!
//! A value comes from the first that has it:
//! 1. the pipeline itself, for what it alone knows (`IMAGE`, `FAMILY`, …);
//! 2. the stack's outputs: `DATABASE_URL_SECRET_ARN` is the output `DatabaseUrlSecretArn`, or for
//!    one service `UsersDatabaseUrlSecretArn`;
//! 3. the environment;
//! 4. `[values]` in `pipeline.toml`;
//! 5. what follows from other names, such as the ARN of a role.
//!
//! What a value is for is not known here. All that comes from the environment counts as secret,
//! except for a few names that nobody would hide.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::config::{Scalar, names};
use crate::secret::Secret;

/// Variables whose values may be shown.
const PUBLIC: [&str; 6] = [
    "AWS_ACCOUNT_ID",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "API_SERVICE_URL",
    "APP_URL",
    "REGISTRY_HOST",
];

/// Whether a variable's value may be shown. An ARN names a thing, and is no secret itself.
fn is_public(name: &str) -> bool {
    PUBLIC.contains(&name) || name.ends_with("_ARN")
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("{file} cannot be read: {cause}")]
    Unreadable { file: String, cause: String },
    #[error("{file}:{line}: {cause}")]
    NoJson { file: String, line: usize, cause: String },
    #[error(
        "{file}: `{text}` has a `${{` that is not followed by a NAME and a `}}`; \
             write `$${{` for a plain one"
    )]
    Malformed { file: String, text: String },
    #[error("{}", missing(.0))]
    Missing(BTreeMap<String, BTreeSet<String>>),
}

fn missing(names: &BTreeMap<String, BTreeSet<String>>) -> String {
    let lines = names.iter().map(|(name, files)| {
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        format!("\n  ${{{name}}}  in {}", files.join(" and "))
    });
    format!(
        "{} without a value:{}\nEach may be an output of the stack, a variable of the \
         environment, or stand under [values] in {}.",
        if names.len() == 1 { "a placeholder is" } else { "placeholders are" },
        lines.collect::<String>(),
        crate::config::PATH
    )
}

/// Where values come from. Not to be printed: the environment has secrets.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// What the pipeline alone knows.
    pub(crate) own: BTreeMap<String, String>,
    /// The stack's outputs, named as in the stack.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The process's environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// `[values]`.
    pub(crate) file: BTreeMap<String, Scalar>,
    /// What follows from other names.
    pub(crate) derived: BTreeMap<String, String>,
    /// The service whose outputs go first.
    pub(crate) service: String,
}

impl Sources {
    /// The value of a placeholder, and whether it must not be shown.
    fn find(&self, name: &str) -> Option<(Value, bool)> {
        let text = |text: &String| Value::String(text.clone());
        let output = || {
            let of_service = format!("{}{}", pascal(&self.service), pascal(name));
            self.outputs.get(&of_service).or_else(|| self.outputs.get(&pascal(name)))
        };
        let environment = || self.environment.get(name).filter(|value| !value.is_empty());
        if let Some(value) = self.own.get(name).or_else(output) {
            return Some((text(value), false));
        }
        if let Some(value) = environment() {
            return Some((text(value), !is_public(name)));
        }
        let value = match self.file.get(name) {
            Some(Scalar::Bool(value)) => Value::Bool(*value),
            Some(Scalar::Number(value)) => Value::from(*value),
            Some(Scalar::Text(value)) => text(value),
            None => text(self.derived.get(name)?),
        };
        Some((value, false))
    }
}

/// `DatabaseUrl` of `DATABASE_URL`: how CloudFormation calls an output.
fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut characters = word.chars();
            let first = characters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(characters.map(|c| c.to_ascii_lowercase())).collect::<String>()
        })
        .collect()
}

/// A document without placeholders.
#[derive(Clone)]
pub(crate) struct Filled {
    /// What goes to AWS.
    pub(crate) document: Value,
    /// Texts in it that must not be shown.
    pub(crate) secrets: Vec<Secret>,
}

impl std::fmt::Debug for Filled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<a document that may have secrets>")
    }
}

/// Fills documents in, and collects what is missing over all of them.
#[derive(Debug, Default)]
pub(crate) struct Filler {
    missing: BTreeMap<String, BTreeSet<String>>,
}

impl Filler {
    /// Reads a document and fills it in. A placeholder without a value stays as it is, and
    /// [`Filler::finish`] tells.
    ///
    /// # Errors
    /// The file is not there, is no JSON, or has half a placeholder.
    pub(crate) fn read(&mut self, file: &str, sources: &Sources) -> Result<Filled, TemplateError> {
        let text = std::fs::read_to_string(file).map_err(|cause| TemplateError::Unreadable {
            file: file.to_owned(),
            cause: cause.to_string(),
        })?;
        self.fill(file, &text, sources)
    }

    /// The same for a text; `file` is only its name.
    ///
    /// # Errors
    /// As for [`Filler::read`].
    pub(crate) fn fill(
        &mut self,
        file: &str,
        text: &str,
        sources: &Sources,
    ) -> Result<Filled, TemplateError> {
        let document = serde_json::from_str(text).map_err(|cause| TemplateError::NoJson {
            file: file.to_owned(),
            line: cause.line(),
            cause: cause.to_string(),
        })?;
        let mut pass = Pass { file, sources, secrets: BTreeSet::new(), missing: &mut self.missing };
        let document = pass.value(document)?;
        let secrets = pass.secrets.into_iter().map(Secret::new).collect();
        Ok(Filled { document, secrets })
    }

    /// Says what had no value, if anything.
    ///
    /// # Errors
    /// Something had none: all of it, with the files that need it.
    pub(crate) fn finish(self) -> Result<(), TemplateError> {
        if self.missing.is_empty() { Ok(()) } else { Err(TemplateError::Missing(self.missing)) }
    }
}

/// One document's filling.
struct Pass<'a> {
    file: &'a str,
    sources: &'a Sources,
    secrets: BTreeSet<String>,
    missing: &'a mut BTreeMap<String, BTreeSet<String>>,
}

impl Pass<'_> {
    fn value(&mut self, value: Value) -> Result<Value, TemplateError> {
        Ok(match value {
            Value::String(text) => self.text(&text)?,
            Value::Array(items) => Value::Array(
                items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => {
                let filled = members
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.value(value)?)))
                    .collect::<Result<Map<_, _>, TemplateError>>()?;
                Value::Object(filled)
            }
            other => other,
        })
    }

    fn text(&mut self, text: &str) -> Result<Value, TemplateError> {
        if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
            && (names::PLACEHOLDER.1)(name)
        {
            return Ok(self.find(name).unwrap_or_else(|| text.into()));
        }
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (rest.get(..at).unwrap_or(""), rest.get(at + 2..).unwrap_or(""));
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                rest = after;
                continue;
            }
            let name = after.split_once('}').filter(|(name, _)| (names::PLACEHOLDER.1)(name));
            let Some((name, after)) = name else {
                let (file, text) = (self.file.to_owned(), text.to_owned());
                return Err(TemplateError::Malformed { file, text });
            };
            filled.push_str(before);
            match self.find(name) {
                Some(Value::String(value)) => filled.push_str(&value),
                Some(value) => filled.push_str(&value.to_string()),
                None => {}
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(Value::String(filled))
    }

    fn find(&mut self, name: &str) -> Option<Value> {
        let Some((value, secret)) = self.sources.find(name) else {
            self.missing.entry(name.to_owned()).or_default().insert(self.file.to_owned());
            return None;
        };
        if let (true, Value::String(text)) = (secret, &value) {
            self.secrets.insert(text.clone());
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn fill(document: &Value, sources: &Sources) -> Value {
        let mut filler = Filler::default();
        let filled = filler.fill("a.json", &document.to_string(), sources).unwrap();
        filler.finish().unwrap();
        filled.document
    }

    #[test]
    fn the_first_source_that_has_a_value_counts() {
        let mut sources = Sources {
            own: map(&[("A", "own")]),
            outputs: map(&[("A", "output"), ("UsersB", "users"), ("B", "both"), ("CaBundle", "c")]),
            environment: map(&[("B", "env"), ("D", "env"), ("E", "")]),
            file: BTreeMap::from([("E".to_owned(), Scalar::Number(300))]),
            derived: map(&[("E", "derived"), ("F", "derived")]),
            service: "users".to_owned(),
        };
        let document = json!(["${A}", "${B}", "${CA_BUNDLE}", "${D}", "${E}", "x${E}", "${F}"]);
        let expected = json!(["own", "users", "c", "env", 300, "x300", "derived"]);
        assert_eq!(fill(&document, &sources), expected);
        "client".clone_into(&mut sources.service);
        assert_eq!(fill(&json!("${B}"), &sources), "both");
    }

    #[test]
    fn all_that_is_missing_is_said_at_once_with_the_files_that_need_it() {
        let mut filler = Filler::default();
        let sources = Sources::default();
        filler.fill("ecs/a.json", r#"{"a": "${ONE}", "b": ["x-${TWO}"]}"#, &sources).unwrap();
        filler.fill("ecs/b.json", r#"{"a": "${ONE}"}"#, &sources).unwrap();
        assert_eq!(
            filler.finish().unwrap_err().to_string(),
            "placeholders are without a value:\n  ${ONE}  in ecs/a.json and ecs/b.json\n  \
             ${TWO}  in ecs/a.json\nEach may be an output of the stack, a variable of the \
             environment, or stand under [values] in ecs/pipeline.toml."
        );
    }

    #[test]
    fn a_doubled_dollar_is_a_plain_one_and_half_a_placeholder_is_refused() {
        let sources = Sources { own: map(&[("A", "${B}")]), ..Sources::default() };
        assert_eq!(fill(&json!("$${A} $5 ${A}"), &sources), "${A} $5 ${B}", "filled only once");
        for text in ["${A", "a ${lower}", "${}", "x ${A-B}"] {
            let mut filler = Filler::default();
            let error = filler.fill("a.json", &json!(text).to_string(), &sources).unwrap_err();
            assert!(matches!(error, TemplateError::Malformed { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_json_is_named_with_its_line() {
        let error = Filler::default().fill("a.json", "{\n  \"a\": ,\n}", &Sources::default());
        assert!(error.unwrap_err().to_string().starts_with("a.json:2: expected value"));
    }

    #[test]
    fn values_of_the_environment_are_secrets() {
        let environment = map(&[("PRODUCTION_SECRET_KEY", "hunter2"), ("AWS_REGION", "us-west-1")]);
        let sources = Sources { environment, ..Sources::default() };
        let mut filler = Filler::default();
        let text = r#"["${PRODUCTION_SECRET_KEY}", "${AWS_REGION}"]"#;
        let filled = filler.fill("a.json", text, &sources).unwrap();
        let secrets: Vec<_> = filled.secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["hunter2"]);
        assert!(!format!("{:?}", filled.secrets).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_value_changes_anything_but_its_own_text(value in ".+") {
            let sources = Sources { environment: map(&[("KEY", &value)]), ..Sources::default() };
            let document = json!({ "a": "${KEY}", "b": ["<${KEY}>"], "c": 1 });
            let expected = json!({ "a": value, "b": [format!("<{value}>")], "c": 1 });
            prop_assert_eq!(fill(&document, &sources), expected);
        }
    }
}
