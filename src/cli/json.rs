//! The API's messages in proto3's JSON form, with the one departure that an `Assignment` is a plain object in the
//! file's order.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value as Json;

use crate::pb;

/// A message of `swath.v1` that has a JSON form.
pub(super) trait Named: Message {
    /// Its name within the package.
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ident),* $(,)?) => {
        $(impl Named for pb::$message {
            const NAME: &'static str = stringify!($message);
        })*
    };
}

named!(
    Sweep,
    Trial,
    Entry,
    ListSweepsResponse,
    ListTrialsResponse,
    EnqueueResponse,
    AskResponse,
    AskedTrial,
    TellResponse,
    RetryTrialsResponse,
    StatusResponse,
    VerifyResponse,
    BackupResponse,
);

fn descriptors() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(pb::DESCRIPTORS).expect("build.rs wrote these descriptors"))
}

/// `message` as JSON: lowerCamelCase names, RFC 3339 times, `"1.5s"` durations, 64-bit integers as strings, empty
/// lists and zeroes written, absent fields left out.
pub(super) fn of<M: Named>(message: &M) -> Json {
    let name = format!("swath.v1.{}", M::NAME);
    let descriptor =
        descriptors().get_message_by_name(&name).expect("Named holds for messages of the package");
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("an encoded message decodes by its own descriptor");
    let options = SerializeOptions::new().skip_default_fields(false);
    let json = dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("a JSON value can be made of any message");
    plain_assignments(json)
}

/// Turns every `{"entries": [{"name", "value"}]}` under `params` into a plain object.
fn plain_assignments(json: Json) -> Json {
    match json {
        Json::Object(map) => Json::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let value = if key == "params" { plain(value) } else { plain_assignments(value) };
                    (key, value)
                })
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(plain_assignments).collect()),
        other => other,
    }
}

fn plain(assignment: Json) -> Json {
    let Json::Object(mut map) = assignment else { return assignment };
    let Some(Json::Array(entries)) = map.remove("entries") else { return Json::Object(map) };
    let object = entries.into_iter().filter_map(|mut entry| {
        let name = entry.get("name")?.as_str()?.to_owned();
        let value = entry.get_mut("value").map(Json::take).unwrap_or_default();
        Some((name, plain_value(value)))
    });
    Json::Object(object.collect())
}

/// A `swath.v1.Value` as the JSON it stands for.
fn plain_value(value: Json) -> Json {
    let Json::Object(map) = value else { return Json::Null };
    match map.into_iter().next() {
        Some((kind, Json::String(digits))) if kind == "integer" => {
            serde_json::from_str(&digits).unwrap_or(Json::String(digits))
        }
        Some((kind, Json::String(text))) if kind == "json" => {
            serde_json::from_str(&text).map_or(Json::String(text), untagged)
        }
        Some((_, inner)) => inner,
        None => Json::Null,
    }
}

/// The value's stored form (see `space::Value`) with its `$` marks taken off, for readers that know none of them.
pub(super) fn untagged(json: Json) -> Json {
    match json {
        Json::Object(map)
            if map.len() == 1 && map.keys().all(|key| key == "$map" || key == "$int" || key == "$float") =>
        {
            map.into_iter().next().map_or(Json::Null, |(_, inner)| untagged(inner))
        }
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(key, value)| (key, untagged(value))).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(untagged).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_what_the_contract_shows() {
        let entry = |name: &str, kind| pb::assignment::Entry {
            name: name.into(),
            value: Some(pb::Value { kind: Some(kind) }),
        };
        use pb::value::Kind;
        let trial = pb::Trial {
            sweep: "q7k2m9xa".into(),
            trial: 31,
            state: pb::trial::State::Succeeded as i32,
            params: Some(pb::Assignment {
                entries: vec![
                    entry("lr", Kind::Number(0.00031)),
                    entry("batch_size", Kind::Integer(64)),
                    entry("opt", Kind::Json(r#"{"z":1,"a":{"$float":"NaN"}}"#.into())),
                    entry("nothing", Kind::Null(0)),
                ],
            }),
            objectives: vec![pb::Objective {
                name: "val_loss".into(),
                value: Some(0.1832),
                step: Some(29),
                ..Default::default()
            }],
            feasible: true,
            rank: Some(1),
            ..Default::default()
        };
        let json = of(&trial);
        assert_eq!(json["state"], "SUCCEEDED");
        assert_eq!(
            json["params"].to_string(),
            r#"{"lr":0.00031,"batch_size":64,"opt":{"z":1,"a":"NaN"},"nothing":null}"#
        );
        assert_eq!(json["objectives"][0]["step"], "29");
        assert_eq!(json["rank"], 1);
        assert_eq!(json["runs"], serde_json::json!([]));
        assert_eq!(json["excluded"], false);
    }

    #[test]
    fn an_empty_list_is_in_its_message() {
        let json = of(&pb::ListSweepsResponse::default());
        assert_eq!(json.to_string(), r#"{"sweeps":[],"nextPageToken":""}"#);
    }
}
