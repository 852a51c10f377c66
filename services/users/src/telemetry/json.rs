//! A log line as JSON: when, how grave, what happened with what, and where in the program.
//!
//! The library's own format has each piece of a line checked and copied by itself, which took a
//! quarter of the instructions of a look-up; here a line is one text from the start.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Deserializer, Map, Value};
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_serde::{AsSerde, SerdeMapVisitor};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::{LookupSpan, Scope},
};

/// As long as most lines are, in bytes.
const LENGTH: usize = 384;

/// The format of lines, and of what spans know until there is a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl<'a> FormatFields<'a> for Json {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        write(writer, &Fields(fields))
    }
}

impl<S> FormatEvent<S, Self> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut around = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(known) = span.extensions().get::<FormattedFields<Self>>() {
                // One object each time that the span learned something.
                for fields in Deserializer::from_str(&known.fields).into_iter::<Map<_, _>>() {
                    around.extend(fields.map_err(|_| fmt::Error)?);
                }
            }
        }
        // What came by way of the `log` crate has its own.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        write(writer.by_ref(), &Line { metadata, event, around })?;
        writer.write_char('\n')
    }
}

/// Writes `value` as one piece.
fn write(mut writer: Writer<'_>, value: &impl Serialize) -> fmt::Result {
    let mut json = Vec::with_capacity(LENGTH);
    serde_json::to_writer(&mut json, value).map_err(|_| fmt::Error)?;
    writer.write_str(str::from_utf8(&json).map_err(|_| fmt::Error)?)
}

/// What a span or an event knows.
struct Fields<R>(R);

impl<R: RecordFields> Serialize for Fields<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = SerdeMapVisitor::new(serializer.serialize_map(None)?);
        self.0.record(&mut members);
        members.finish()
    }
}

/// When, how grave, what the spans around it know, what happened, and where.
struct Line<'a> {
    metadata: &'a Metadata<'a>,
    event: &'a Event<'a>,
    /// What the spans around it know.
    around: Map<String, Value>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        #[expect(clippy::disallowed_methods, reason = "a line was written when it was written")]
        let now = Utc::now();
        let timestamp = now.to_rfc3339_opts(SecondsFormat::Micros, true);
        members.serialize_entry("timestamp", &timestamp)?;
        members.serialize_entry("level", &self.metadata.level().as_serde())?;
        for (name, value) in &self.around {
            members.serialize_entry(name, value)?;
        }
        let mut fields = SerdeMapVisitor::new(members);
        self.event.record(&mut fields);
        let mut members = fields.take_serializer()?;
        members.serialize_entry("target", self.metadata.target())?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, pipe},
        sync::Arc,
    };

    use serde_json::json;
    use tracing::{field::Empty, info, info_span, warn};
    use tracing_subscriber::fmt::fmt;

    use super::*;

    /// What `work` has logged, without the times.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let (mut reader, writer) = pipe().unwrap();
        let lines = fmt().fmt_fields(Json).event_format(Json).with_writer(Arc::new(writer));
        tracing::subscriber::with_default(lines.finish(), work);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines()
            .map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                let time = time.as_str().unwrap();
                assert!(time.ends_with('Z') && time.len() == "2026-01-02T03:04:05.678901Z".len());
                line
            })
            .collect()
    }

    #[test]
    fn values_are_what_they_were() {
        let target = module_path!();
        let lines = logged(|| {
            info!(count = 3, took = 1.5, is_new = true, text = "a \"b\"\n\u{1}ü", "it happened");
            warn!(error = %"no", list = ?[1, 2]);
        });
        let first = json!({
            "level": "INFO", "message": "it happened", "count": 3, "took": 1.5, "is_new": true,
            "text": "a \"b\"\n\u{1}ü", "target": target,
        });
        let second = json!({"level": "WARN", "error": "no", "list": "[1, 2]", "target": target});
        assert_eq!(lines, [first, second]);
    }

    #[test]
    fn a_line_knows_what_the_spans_around_it_know() {
        let target = module_path!();
        let lines = logged(|| {
            let outer = info_span!("outer", request_id = "abc", user = Empty).entered();
            info_span!("inner", step = 2).in_scope(|| info!("within"));
            outer.record("user", 7);
            info!("learned");
            drop(outer);
            info!("after");
        });
        let line = |members: Value| {
            let mut line = json!({"level": "INFO", "target": target});
            line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            line
        };
        let within = line(json!({"message": "within", "request_id": "abc", "step": 2}));
        let learned = line(json!({"message": "learned", "request_id": "abc", "user": 7}));
        assert_eq!(lines, [within, learned, line(json!({"message": "after"}))]);
    }
}
