//! What a command answers: the same values as text for a person and as JSON for a program.

use std::fmt::{Display, Formatter};
use std::io::Write as _;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Origin, ServiceName, Setting};
use crate::images::source::Revision;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON document on standard output
    Json,
}

/// Writes an answer to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn answer(output: Output, report: &(impl Display + Serialize)) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => write!(out, "{report}")?,
        Output::Json => {
            drop(out);
            return json(report);
        }
    }
    out.flush()
}

/// Writes JSON to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn json(report: &impl Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    out.flush()
}

/// Why there is no other answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failure {
    /// In words.
    pub(crate) error: String,
    /// The program's exit code.
    pub(crate) exit_code: u8,
}

/// What `build` and `push` did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Images {
    /// What the images are tagged with.
    pub(crate) version: String,
    /// What they are made from.
    pub(crate) source: Revision,
    /// Each of them.
    pub(crate) images: Vec<Image>,
}

/// What became of one image.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Image {
    /// Whose.
    pub(crate) service: ServiceName,
    /// What was done.
    pub(crate) state: State,
    /// How to name exactly this image: by tag in the engine here, by digest in the registry.
    pub(crate) reference: String,
    /// Its manifest in the registry; `None` before a push.
    pub(crate) digest: Option<String>,
    /// The tags that name it now because of this command.
    pub(crate) tags: Vec<String>,
    /// What a pull transfers.
    pub(crate) bytes: Option<u64>,
    /// What it takes on disk, if it was built.
    pub(crate) bytes_unpacked: Option<u64>,
    /// Its layers, if they were pushed.
    pub(crate) layers: Option<usize>,
    /// Those that the registry had already.
    pub(crate) layers_there: Option<usize>,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    #[schemars(with = "Option<f64>")]
    pub(crate) took: Option<Duration>,
}

impl Image {
    /// What a deploy says about it.
    #[must_use]
    pub(crate) fn one_line(&self) -> String {
        let mut text = self.took.map(human).unwrap_or_default();
        match (self.state, self.bytes) {
            (State::Pushed, Some(bytes)) => {
                text.push_str(&format!("  pushed {}", megabytes(bytes)));
            }
            (State::Pushed, None) => text.push_str("  pushed"),
            (State::Built | State::Present, _) => text.push_str("  in the registry already"),
        }
        if let (Some(_), Some(there)) = (self.layers, self.layers_there) {
            text.push_str(&format!(", {there} layers were there"));
        }
        text
    }
}

/// What was done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It lies in the engine here.
    Built,
    /// The registry had it already.
    Present,
    /// The registry has it now.
    Pushed,
}

fn seconds<S: serde::Serializer>(
    took: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match took {
        Some(took) => serializer.serialize_f64((took.as_secs_f64() * 10.0).round() / 10.0),
        None => serializer.serialize_none(),
    }
}

impl Display for Images {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "source  {}", self.source)?;
        self.images.iter().try_for_each(|image| write!(f, "{image}"))
    }
}

impl Display for Image {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let what = match self.state {
            State::Built => "built",
            State::Present => "in the registry already",
            State::Pushed => "pushed",
        };
        write!(f, "{:6}  {what}", self.service)?;
        match (self.bytes, self.bytes_unpacked) {
            (Some(sent), Some(unpacked)) => {
                write!(f, ", {} ({} unpacked)", megabytes(sent), megabytes(unpacked))?;
            }
            (Some(sent), None) => write!(f, ", {}", megabytes(sent))?,
            (None, Some(unpacked)) => write!(f, ", {} unpacked", megabytes(unpacked))?,
            (None, None) => {}
        }
        if let (Some(layers), Some(there)) = (self.layers, self.layers_there) {
            write!(f, ", {there} of {layers} layers were there")?;
        }
        if let Some(took) = self.took {
            write!(f, ", {}", human(took))?;
        }
        writeln!(f, "\n        {}", self.reference)?;
        if !self.tags.is_empty() {
            writeln!(f, "        tagged {}", self.tags.join(", "))?;
        }
        Ok(())
    }
}

/// The configuration as it is meant, with the origin of every value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Settings<'a> {
    /// The file that was read.
    pub(crate) file: &'a str,
    /// Every setting.
    pub(crate) settings: &'a [Setting],
    /// The variables that hold secrets, and whether they are set.
    pub(crate) secrets: Vec<SecretSetting>,
}

/// A variable whose value is nobody's business.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SecretSetting {
    /// The variable's name.
    pub(crate) variable: &'static str,
    /// Whether it has a value.
    pub(crate) set: bool,
}

impl Display for Settings<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let value = |setting: &Setting| format!("{:?}", setting.value);
        let secrets = self.secrets.iter().map(|secret| secret.variable.len());
        let key_width = self.settings.iter().map(|setting| setting.key.len()).chain(secrets).max();
        let value_width = self.settings.iter().map(|setting| value(setting).len()).max();
        let (key_width, value_width) = (key_width.unwrap_or(0), value_width.unwrap_or(0));
        for setting in self.settings {
            let origin = match setting.source {
                Origin::File => self.file,
                Origin::Environment => "environment",
                Origin::Option => "--set",
                Origin::Default if setting.value.is_empty() => "not set",
                Origin::Default => "default",
            };
            let (key, value) = (&setting.key, value(setting));
            writeln!(f, "{key:key_width$}  {value:value_width$}  {origin}")?;
        }
        for secret in &self.secrets {
            let (variable, set) = (secret.variable, secret.set);
            let (value, origin) =
                if set { ("<redacted>", "environment") } else { ("\"\"", "not set") };
            writeln!(f, "{variable:key_width$}  {value:value_width$}  {origin}")?;
        }
        Ok(())
    }
}

/// A duration as a person would say it: `0.4 s`, `12 s`, `2m05s`.
#[must_use]
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

/// Megabytes of a million, as registries count: `4.1 MB`.
#[must_use]
pub(crate) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1000 => return format!("{bytes} B"),
        1000..100_000 => return format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
        _ => {}
    }
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let reference = "127.0.0.1:5000/shop-users@sha256:9ab4".to_owned();
        Images {
            version: "c0ffee".to_owned(),
            source: Revision {
                commit: "c0ffee0123456789".to_owned(),
                subject: "Ask before removing a user".to_owned(),
                branch: Some("main".to_owned()),
                dirty: false,
                time: "0".to_owned(),
            },
            images: vec![Image {
                service: ServiceName::Users,
                state: State::Pushed,
                reference,
                digest: Some("sha256:9ab4".to_owned()),
                tags: vec!["builder".to_owned(), "c0ffee".to_owned(), "prod".to_owned()],
                bytes: Some(4_123_456),
                bytes_unpacked: Some(12_000_000),
                layers: Some(5),
                layers_there: Some(3),
                took: Some(Duration::from_millis(12_340)),
            }],
        }
    }

    #[test]
    fn a_person_reads_what_was_done() {
        assert_eq!(
            images().to_string(),
            "source  c0ffee012345 \"Ask before removing a user\" (main, clean)\n\
             users   pushed, 4.1 MB (12.0 MB unpacked), 3 of 5 layers were there, 12 s\n        \
             127.0.0.1:5000/shop-users@sha256:9ab4\n        tagged builder, c0ffee, prod\n"
        );
    }

    #[test]
    fn a_program_reads_the_same() {
        let json = serde_json::to_value(images()).unwrap();
        assert_eq!(json["version"], "c0ffee");
        assert_eq!(json["source"]["dirty"], false);
        assert_eq!(json["images"][0]["state"], "pushed");
        assert_eq!(json["images"][0]["seconds"], 12.3);
        assert_eq!(json["images"][0]["digest"], "sha256:9ab4");
        let mut built = images();
        let image = &mut built.images[0];
        (image.state, image.took, image.digest, image.bytes) = (State::Built, None, None, None);
        (image.layers, image.layers_there, built.source.branch) = (None, None, None);
        for images in [images(), built] {
            crate::schema_check::holds(&images);
        }
        crate::schema_check::holds(&Failure { error: "no Docker".to_owned(), exit_code: 20 });
    }

    #[test]
    fn durations_and_sizes_read_like_speech() {
        assert_eq!(human(Duration::from_millis(440)), "0.4 s");
        assert_eq!(human(Duration::from_secs(59)), "59 s");
        assert_eq!(human(Duration::from_secs(125)), "2m05s");
        assert_eq!(megabytes(512), "512 B");
        assert_eq!(megabytes(1_512), "1.5 kB");
        assert_eq!(megabytes(4_050_000), "4.1 MB");
        assert_eq!(megabytes(123_949_999), "123.9 MB");
    }

    #[test]
    fn secrets_show_only_that_they_are_set() {
        let setting = Setting { key: "name".into(), value: "shop".into(), source: Origin::File };
        let settings = Settings {
            file: "ecs/pipeline.toml",
            settings: &[setting],
            secrets: vec![SecretSetting { variable: "REGISTRY_PASSWORD", set: true }],
        };
        assert_eq!(
            settings.to_string(),
            "name               \"shop\"  ecs/pipeline.toml\n\
             REGISTRY_PASSWORD  <redacted>  environment\n"
        );
    }
}
