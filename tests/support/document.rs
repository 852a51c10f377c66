//! The OpenAPI document, and whether an answer is one that it describes.

use std::{collections::BTreeSet, sync::Mutex};

use reqwest::Method;
use serde_json::Value;

use crate::Answer;

/// An operation's method and path pattern with a status: `GET /users/{id} 404`.
pub type Outcome = String;

/// The API's own description of itself.
#[derive(Debug)]
pub struct Document {
    json: Value,
    seen: Mutex<BTreeSet<Outcome>>,
}

impl Document {
    /// Reads the document.
    pub fn new(json: Value) -> Self {
        Self { json, seen: Mutex::default() }
    }

    /// The document.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Every outcome that the document lists.
    pub fn outcomes(&self) -> BTreeSet<Outcome> {
        let mut outcomes = BTreeSet::new();
        for (pattern, item) in self.json["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().unwrap() {
                for status in operation["responses"].as_object().expect("responses").keys() {
                    outcomes.insert(format!("{} {pattern} {status}", method.to_uppercase()));
                }
            }
        }
        outcomes
    }

    /// Every outcome that was seen so far.
    pub fn seen(&self) -> BTreeSet<Outcome> {
        self.seen.lock().unwrap().clone()
    }

    /// Takes note of an outcome that was seen without a client of ours.
    #[track_caller]
    pub fn saw(&self, outcome: Outcome) {
        assert!(self.outcomes().contains(&outcome), "the document does not list {outcome}");
        self.seen.lock().unwrap().insert(outcome);
    }

    /// Fails unless the answer is one that the document describes.
    #[track_caller]
    pub(crate) fn allows(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap_or(path);
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let Some((pattern, item)) = self.operations(path) else { return };
        let Some(operation) = item.get(method.as_str().to_lowercase()) else { return };
        let status = answer.status.to_string();
        let about = format!("{method} {pattern} {status}");
        let response = &operation["responses"][&status];
        assert!(response.is_object(), "the document does not list {about}: {}", answer.text());
        if let Some(kind) = answer.header("content-type") {
            let kind = kind.split(';').next().unwrap_or(kind);
            let documented = response["content"].as_object().is_some_and(|c| c.contains_key(kind));
            assert!(documented, "the document does not give {about} the type {kind}");
        } else {
            assert!(response.get("content").is_none(), "{about} has no body");
        }
        for header in response["headers"].as_object().into_iter().flat_map(|h| h.keys()) {
            // A `Link` is there while there is more, a cookie if it was asked for.
            if !["link", "set-cookie"].contains(&header.to_lowercase().as_str()) {
                assert!(answer.header(header).is_some(), "{about} has no header {header}");
            }
        }
        self.seen.lock().unwrap().insert(about);
    }

    fn operations(&self, path: &str) -> Option<(&str, &Value)> {
        let paths = self.json["paths"].as_object()?;
        // A literal path goes before a pattern.
        let literal = paths.get_key_value(path);
        let found = literal.or_else(|| paths.iter().find(|(pattern, _)| matches(pattern, path)));
        found.map(|(pattern, item)| (pattern.as_str(), item))
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut left, mut right) = (pattern.split('/'), path.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || (a.starts_with('{') && !b.is_empty()) => {}
            _ => return false,
        }
    }
}
