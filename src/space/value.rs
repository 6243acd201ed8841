//! A parameter's value and an assignment: what a sweep file can say, kept as it was written.
//!
//! `64` and `64.0` differ, integers of any size keep their digits, mappings keep an order. In JSON a value is the
//! plain JSON value wherever JSON can carry it; `{"$int": "123.."}` and `{"$float": "NaN"}` stand for what it cannot,
//! and a mapping whose first key begins with `$` is wrapped as `{"$map": {..}}`, so reading back is exact.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `on` ..
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond 64 bits: its decimal digits with an optional `-`.
    BigInt(String),
    /// A float; NaN and infinities are possible in `value` and `values`.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in its order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The number this value is, if it is one (a bool is not).
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            Value::BigInt(digits) => digits.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// One assignment: names in the order of the command line (plain parameters by name, then groups by name), a group as
/// a [`Value::Map`] in the same order. A parameter that does not exist at this point is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment(pub Vec<(String, Value)>);

impl Serialize for Assignment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        entries(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Assignment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Assignment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of parameter names to values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Assignment, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Assignment(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn entries<S: Serializer>(entries: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (name, value) in entries {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// `NaN`, `Infinity` or `-Infinity`: the names that stand in JSON for floats it cannot carry.
pub fn float_name(f: f64) -> &'static str {
    if f.is_nan() {
        "NaN"
    } else if f > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// What two values share when they count as one value (of a grid, in `when`): `1` and `1.0` do, `"1"` and `true` are
/// others; a mapping's order does not matter.
pub(super) fn same_key(value: &Value) -> String {
    fn inner(value: &Value) -> String {
        match value {
            Value::Null => "~".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Int(i) => i.to_string(),
            Value::BigInt(digits) => digits.clone(),
            Value::Float(f) => format!("{f:?}"),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(",")),
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().map(|(k, v)| format!("{k:?}:{}", inner(v))).collect();
                entries.sort();
                format!("{{{}}}", entries.join(","))
            }
        }
    }
    match value {
        Value::Float(f) if *f == 0.0 => "0".to_owned(),
        Value::Float(f) if f.fract() == 0.0 => format!("{f:.0}"),
        other => inner(other),
    }
}

/// The float that [`float_name`] names.
pub fn named_float(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

struct Entries<'a>(&'a [(String, Value)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        entries(self.0, serializer)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn tagged<S: Serializer, T: Serialize>(tag: &str, body: T, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(tag, &body)?;
            map.end()
        }
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            Value::BigInt(digits) => tagged("$int", digits, serializer),
            Value::Float(f) if f.is_finite() => serializer.serialize_f64(*f),
            Value::Float(f) => tagged("$float", float_name(*f), serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(map) if map.first().is_some_and(|(key, _)| key.starts_with('$')) => {
                tagged("$map", Entries(map), serializer)
            }
            Value::Map(map) => entries(map, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
                Ok(Value::Bool(b))
            }
            fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
                Ok(Value::Int(i))
            }
            fn visit_u64<E>(self, u: u64) -> Result<Value, E> {
                Ok(i64::try_from(u).map_or_else(|_| Value::BigInt(u.to_string()), Value::Int))
            }
            fn visit_f64<E>(self, f: f64) -> Result<Value, E> {
                Ok(Value::Float(f))
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries: Vec<(String, Value)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "$map" && entries.is_empty() {
                        // what it wraps is a mapping as it stands, whatever its keys look like
                        entries = map.next_value::<Assignment>()?.0;
                        return match map.next_key::<String>()? {
                            None => Ok(Value::Map(entries)),
                            Some(_) => Err(serde::de::Error::custom("nothing may stand beside $map")),
                        };
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(untag(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Undoes the `$` forms of a mapping of one entry.
fn untag(mut entries: Vec<(String, Value)>) -> Value {
    match entries.as_mut_slice() {
        [(tag, Value::Text(digits))] if tag == "$int" => Value::BigInt(std::mem::take(digits)),
        [(tag, Value::Text(name))] if tag == "$float" => match named_float(name) {
            Some(float) => Value::Float(float),
            None => Value::Map(entries),
        },
        _ => Value::Map(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_json() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(64),
            Value::Float(64.0),
            Value::Float(1e300),
            Value::BigInt("123456789012345678901234567890".into()),
            Value::Float(f64::NEG_INFINITY),
            Value::Text("NaN".into()),
            Value::List(vec![Value::Int(1), Value::Text("x".into())]),
            Value::Map(vec![("z".into(), Value::Int(1)), ("a".into(), Value::Null)]),
            Value::Map(vec![("$int".into(), Value::Text("5".into()))]),
            Value::Map(vec![("$map".into(), Value::Map(vec![("$float".into(), Value::Text("NaN".into()))]))]),
        ];
        for value in values {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
        }
    }
}
