//! Holds answers for programs against their schemas: as much of JSON Schema as ours use. What it does
//! not know it refuses, and in an object without alternatives no member goes unmentioned.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Says nothing about values.
const NOTES: [&str; 6] = ["$schema", "$defs", "title", "description", "default", "format"];

/// Makes sure that an answer is as `config schema` says.
#[track_caller]
pub(crate) fn holds<T: JsonSchema + Serialize>(answer: &T) {
    let schema = serde_json::to_value(schemars::schema_for!(T)).unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    let wrong = wrong(&schema, &schema, &answer, "");
    assert!(wrong.is_empty(), "{wrong:#?}\n{answer:#}\n{schema:#}");
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("the type {kind} is not known here"),
    }
}

/// What of a value is not as it should be.
fn wrong(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let schema = match schema {
        Value::Bool(true) => return Vec::new(),
        Value::Bool(false) => return vec![format!("{path}: nothing is allowed here")],
        schema => schema.as_object().unwrap(),
    };
    let mut found = Vec::new();
    for (keyword, rule) in schema {
        let list = || rule.as_array().unwrap().iter();
        let holding = || list().filter(|one| wrong(root, one, value, path).is_empty()).count();
        let fine = match keyword.as_str() {
            "$ref" => {
                let place = rule.as_str().unwrap().trim_start_matches('#');
                found.extend(wrong(root, root.pointer(place).unwrap(), value, path));
                true
            }
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap(), value)),
                kind => is(kind.as_str().unwrap(), value),
            },
            "enum" => list().any(|one| one == value),
            "const" => rule == value,
            "anyOf" => holding() > 0,
            "oneOf" => holding() == 1,
            "allOf" => holding() == list().count(),
            "minimum" => value.as_f64().is_none_or(|it| it >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|all| all.len() >= number(rule)),
            "maxItems" => value.as_array().is_none_or(|all| all.len() <= number(rule)),
            "required" => value.as_object().is_none_or(|members| {
                list().all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(wrong(root, rule, item, &format!("{path}/{number}")));
                }
                true
            }
            "prefixItems" => {
                let items = value.as_array().into_iter().flatten();
                for (number, (rule, item)) in list().zip(items).enumerate() {
                    found.extend(wrong(root, rule, item, &format!("{path}/{number}")));
                }
                true
            }
            // Below, with each other.
            "properties" | "additionalProperties" => true,
            note if NOTES.contains(&note) => true,
            other => panic!("{path}: {other} is not known here"),
        };
        if !fine {
            found.push(format!("{path}: {keyword} is {rule}"));
        }
    }
    let members = value.as_object().into_iter().flatten();
    let properties = schema.get("properties").and_then(Value::as_object);
    let alternatives =
        ["anyOf", "oneOf", "allOf", "$ref"].iter().any(|it| schema.contains_key(*it));
    let other = schema.get("additionalProperties");
    for (name, member) in members {
        let path = format!("{path}/{name}");
        match (properties.and_then(|known| known.get(name)), other) {
            (Some(rule), _) | (None, Some(rule)) => found.extend(wrong(root, rule, member, &path)),
            (None, None) if properties.is_some() && !alternatives => {
                found.push(format!("{path} is not in the schema"));
            }
            (None, None) => {}
        }
    }
    found
}

fn number(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}

#[test]
fn what_differs_from_a_schema_is_found() {
    use serde_json::json;

    let schema = json!({
        "type": "object",
        "properties": {
            "kind": { "$ref": "#/$defs/Kind" },
            "count": { "type": ["integer", "null"], "minimum": 1 },
            "names": { "type": "array", "items": { "type": "string" } },
            "by": { "type": "object", "additionalProperties": { "type": "integer" } },
        },
        "required": ["kind"],
        "$defs": { "Kind": { "oneOf": [{ "const": "a" }, { "enum": ["b", "c"] }] } },
    });
    let count = |value: Value| wrong(&schema, &schema, &value, "").len();
    assert_eq!(count(json!({ "kind": "b", "count": null, "names": ["a"], "by": { "a": 1 } })), 0);
    for value in [
        json!([]),
        json!({}),
        json!({ "kind": "d" }),
        json!({ "kind": "a", "count": 0 }),
        json!({ "kind": "a", "count": "1" }),
        json!({ "kind": "a", "names": [1] }),
        json!({ "kind": "a", "by": { "a": "1" } }),
        json!({ "kind": "a", "other": 1 }),
    ] {
        assert_eq!(count(value.clone()), 1, "{value}");
    }
}
