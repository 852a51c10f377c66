//! What the browser's own `JSON.parse` has read, as the contract's types.
//!
//! The browser has a parser. A second one, with a message for every fault, would be downloaded for
//! nothing: all that a caller wants to know is whether an answer is what the contract says.

use std::fmt;

use js_sys::{Array, JSON, Object};
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use wasm_bindgen::{JsCast, JsValue};

/// `text` as a `T`; nothing where it is no JSON, or not a `T`'s.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    T::deserialize(Value(JSON::parse(text).ok()?)).ok()
}

/// A value that `JSON.parse` made.
struct Value(JsValue);

/// It is another value than was expected.
#[derive(Debug)]
struct Mismatch;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another value than was expected")
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Result<T> = std::result::Result<T, Mismatch>;

impl Value {
    fn members(self) -> impl Iterator<Item = (String, Self)> {
        let members = Object::entries(self.0.unchecked_ref());
        (0..members.length()).map(move |at| {
            let member: Array = members.get(at).unchecked_into();
            (member.get(0).as_string().unwrap_or_default(), Self(member.get(1)))
        })
    }

    fn elements(self) -> impl Iterator<Item = Self> {
        let elements: Array = self.0.unchecked_into();
        (0..elements.length()).map(move |at| Self(elements.get(at)))
    }
}

impl IntoDeserializer<'_, Mismatch> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.is_null() {
            visitor.visit_unit()
        } else if let Some(truth) = self.0.as_bool() {
            visitor.visit_bool(truth)
        } else if let Some(number) = self.0.as_f64() {
            match integer(number) {
                Some(number) => visitor.visit_i64(number),
                None => visitor.visit_f64(number),
            }
        } else if let Some(text) = self.0.as_string() {
            visitor.visit_string(text)
        } else if Array::is_array(&self.0) {
            visitor.visit_seq(SeqDeserializer::new(self.elements()))
        } else {
            visitor.visit_map(MapDeserializer::new(self.members()))
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0.as_string() {
            Some(variant) => visitor.visit_enum(variant.into_deserializer()),
            None if self.0.is_object() => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(self.members())))
            }
            None => Err(Mismatch),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A number that is whole, and small enough to be exact in JavaScript.
#[expect(clippy::as_conversions, reason = "the one way from a float; the bounds make it exact")]
fn integer(number: f64) -> Option<i64> {
    let is_exact = number.trunc() == number && number.abs() <= 9_007_199_254_740_991.0;
    is_exact.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn only_what_is_exact_is_an_integer() {
        assert_eq!(integer(42.0), Some(42));
        assert_eq!(integer(-1.0), Some(-1));
        assert_eq!(integer(0.5), None);
        assert_eq!(integer(1e300), None);
        assert_eq!(integer(f64::NAN), None);
    }
}
