//! `--set KEY=VALUE`: as if the file said so, for one run.

use std::str::FromStr;

use toml::{Table, Value};

use super::{Origin, Setting};

/// A key with the value that goes before the file's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Set {
    key: String,
    value: Value,
}

impl FromStr for Set {
    type Err = String;

    /// `images.cache=false`. What is no TOML value is a text, so that a shell needs no quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as in name=shop")?;
        if key.split('.').any(str::is_empty) {
            return Err(format!("{key:?} is no key, as aws.cluster is one"));
        }
        let read = toml::from_str::<Table>(&format!("value = {value}")).ok();
        // A value with a line break could bring keys of its own.
        let read = read.filter(|table| table.len() == 1).and_then(|mut one| one.remove("value"));
        let value = read.unwrap_or_else(|| Value::String(value.to_owned()));
        Ok(Self { key: key.to_owned(), value })
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Set {
    /// Writes the value where its key says, in tables that are made if need be.
    ///
    /// # Errors
    /// Something on the way is no table.
    pub(super) fn apply(&self, table: &mut Table) -> Result<(), String> {
        let (tables, last) = self.key.rsplit_once('.').unwrap_or(("", &self.key));
        let mut place = table;
        for name in tables.split('.').filter(|name| !name.is_empty()) {
            let entry = place.entry(name).or_insert_with(|| Value::Table(Table::new()));
            let inner = entry.as_table_mut();
            place = inner.ok_or_else(|| format!("{}: {name} has no keys in it", self.key))?;
        }
        place.insert(last.to_owned(), self.value.clone());
        Ok(())
    }

    fn covers(&self, key: &str) -> bool {
        key.strip_prefix(&*self.key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// What the file is said to say comes from the command line, if that says it.
pub(super) fn mark(mut settings: Vec<Setting>, sets: &[Set]) -> Vec<Setting> {
    for setting in &mut settings {
        if setting.source == Origin::File && sets.iter().any(|set| set.covers(&setting.key)) {
            setting.source = Origin::Option;
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Set {
        text.parse().unwrap()
    }

    #[test]
    fn values_are_toml_or_else_texts() {
        assert_eq!(set("images.cache=false").value, Value::Boolean(false));
        assert_eq!(set("deploy.timeout=60").value, Value::Integer(60));
        assert_eq!(set("name=shop").value, Value::String("shop".to_owned()));
        assert_eq!(set("name=\"a=b\"").value, Value::String("a=b".to_owned()));
        assert!(set("parameters={MinHosts=2}").value.is_table());
        assert_eq!(set("name=1\nkeep=2").value, Value::String("1\nkeep=2".to_owned()));
        for wrong in ["name", "=x", "aws.=x"] {
            assert!(wrong.parse::<Set>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_goes_where_its_key_says() {
        let mut table: Table = toml::from_str("name = \"shop\"\n[aws]\ncluster = \"a\"\n").unwrap();
        for text in ["aws.cluster=b", "images.cache=false"] {
            set(text).apply(&mut table).unwrap();
        }
        assert_eq!(table["aws"]["cluster"].as_str(), Some("b"));
        assert_eq!(table["images"]["cache"].as_bool(), Some(false));
        let refused = set("name.first=x").apply(&mut table).unwrap_err();
        assert!(refused.contains("name has no keys"), "{refused}");
    }
}
