//! Signing in to the registry, and leaving no trace of it.
//!
//! `docker login` writes the password into docker's configuration. Ours goes into a private copy
//! of the user's (mode 0700), which is removed when the command ends: by success, failure, panic
//! or a signal. Only SIGKILL leaves one behind; the next run removes it.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::docker::{Docker, last_line};
use crate::aws::{self, AwsError};
use crate::config::{Config, Login, PASSWORD_VARIABLE, USERNAME_VARIABLE};
use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};
use crate::secret::Secret;

/// The engine tries a registry that does not answer for half a minute.
const LIMIT: Duration = Duration::from_secs(60);
/// How the private directories are called.
const PREFIX: &str = "pipeline-docker-";
/// The file in them that their owner holds locked.
const LOCK: &str = "lock";

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(
        "no credentials for the registry {host}: set {missing}, or \
         `login = \"docker\"` under [registry] in {} if `docker login` has been done",
        crate::config::PATH
    )]
    MissingVariables { host: String, missing: String },
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("the registry {host} does not accept user {username}: {advice}")]
    Refused { host: String, username: String, advice: &'static str },
    #[error("the registry {host} cannot be used: {said}")]
    Failed { host: String, said: String },
    #[error("{} is no valid JSON: {cause}", .path.display())]
    UserConfig { path: PathBuf, cause: serde_json::Error },
    #[error("no private directory for the registry's credentials: {0}")]
    Directory(#[from] std::io::Error),
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl LoginError {
    /// Whether nothing was tried yet, because something is not set.
    #[must_use]
    pub(crate) fn is_configuration(&self) -> bool {
        match self {
            Self::MissingVariables { .. } | Self::UserConfig { .. } => true,
            Self::Aws(error) => error.is_configuration(),
            _ => false,
        }
    }
}

impl From<ProcessError> for LoginError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

/// A registry that may be asked and, if the user may, written to.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The registry, as image names begin with it.
    pub(crate) host: String,
    /// Docker with the right to use it.
    pub(crate) docker: Docker,
}

/// Signs in as the configuration says.
///
/// # Errors
/// Credentials are missing or wrong, or the registry does not answer.
pub(crate) async fn sign_in(config: &Config, stop: &Stop) -> Result<Session, LoginError> {
    let configured = config.registry_host.clone();
    let (host, username, password, advice) = match (config.login, configured) {
        (Login::Docker, Some(host)) => return Ok(Session { host, docker: Docker::default() }),
        (Login::Environment, Some(host)) => {
            let (username, password) = from_environment(&host, |name| std::env::var(name).ok())?;
            let advice = "check REGISTRY_USERNAME and REGISTRY_PASSWORD";
            (host, username, password, advice)
        }
        (_, configured) => {
            let token = tokio::select! {
                token = aws::registry_token() => token?,
                () = stop.wait() => return Err(Interrupted.into()),
            };
            let host = configured.unwrap_or(token.host);
            (host, token.username, token.password, "check which AWS account you are in")
        }
    };
    let private = PrivateConfig::create(&parent(), &user_config(), &host)?;
    let docker = Docker::with(private);
    let login = docker.command(&["login", "--username", &username, "--password-stdin", &host]);
    let answer = process::output(login, Some(&password), LIMIT, stop).await?;
    if answer.status.success() {
        return Ok(Session { host, docker });
    }
    let said = last_line(&answer.stderr);
    Err(if is_refusal(&said) {
        LoginError::Refused { host, username, advice }
    } else {
        LoginError::Failed { host, said }
    })
}

/// Whether the registry knew what we wanted and said no.
fn is_refusal(said: &str) -> bool {
    let said = said.to_lowercase();
    ["401", "403", "unauthorized", "forbidden", "denied", "incorrect username"]
        .iter()
        .any(|word| said.contains(word))
}

fn from_environment(
    host: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(String, Secret), LoginError> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match (set(USERNAME_VARIABLE), set(PASSWORD_VARIABLE)) {
        (Some(username), Some(password)) => Ok((username, Secret::new(password))),
        (username, password) => {
            let missing: Vec<_> =
                [(USERNAME_VARIABLE, username.is_none()), (PASSWORD_VARIABLE, password.is_none())]
                    .into_iter()
                    .filter_map(|(name, missing)| missing.then_some(name))
                    .collect();
            let missing = missing.join(" and ");
            Err(LoginError::MissingVariables { host: host.to_owned(), missing })
        }
    }
}

/// Where docker keeps the user's configuration.
fn user_config() -> PathBuf {
    std::env::var_os("DOCKER_CONFIG")
        .filter(|path| !path.is_empty())
        .map_or_else(|| std::env::home_dir().unwrap_or_default().join(".docker"), PathBuf::from)
}

/// Where private directories go: into memory where the system offers that to each user.
fn parent() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// A docker configuration with everything of the user's but the credentials for one registry.
/// Dropping it removes it.
#[derive(Debug)]
pub(crate) struct PrivateConfig {
    directory: TempDir,
    /// Tells those who tidy up that somebody still needs it.
    _lock: File,
}

impl PrivateConfig {
    fn create(parent: &Path, user: &Path, host: &str) -> Result<Self, LoginError> {
        tidy_up(parent);
        let directory =
            tempfile::Builder::new().prefix(PREFIX).permissions(mode(0o700)).tempdir_in(parent)?;
        let lock = File::create(directory.path().join(LOCK))?;
        lock.try_lock().map_err(std::io::Error::from)?;
        // Contexts, builders, plugins: what lies beside the file is used where it lies.
        if let Ok(entries) = fs::read_dir(user) {
            for entry in entries.flatten() {
                let name = entry.file_name();
                if name != "config.json" && name != LOCK {
                    let target = std::path::absolute(entry.path())?;
                    std::os::unix::fs::symlink(target, directory.path().join(name))?;
                }
            }
        }
        let path = user.join("config.json");
        let original = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|cause| LoginError::UserConfig { path, cause })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
            Err(error) => return Err(error.into()),
        };
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.path().join("config.json"))?;
        serde_json::to_writer(file, &private(original, host)).map_err(std::io::Error::from)?;
        Ok(Self { directory, _lock: lock })
    }

    /// What DOCKER_CONFIG is to be.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn mode(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

/// The user's configuration, changed so that the login to `host` stays in this very file.
///
/// Docker would otherwise hand it to the user's credential store, or to one that it finds
/// installed, where it would outlive us. An empty helper for the host means "this file".
fn private(mut config: Value, host: &str) -> Value {
    if !config.is_object() {
        config = json!({});
    }
    if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
        auths.remove(host);
    }
    if let Some(config) = config.as_object_mut() {
        let helpers = config.entry("credHelpers").or_insert_with(|| json!({}));
        if !helpers.is_object() {
            *helpers = json!({});
        }
        if let Some(helpers) = helpers.as_object_mut() {
            helpers.insert(host.to_owned(), json!(""));
        }
    }
    config
}

/// Removes what runs that were killed have left.
fn tidy_up(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX))
            && entry.metadata().is_ok_and(|metadata| {
                metadata.is_dir() && metadata.uid() == rustix::process::getuid().as_raw()
            });
        // Credentials come after the lock: without the file there is nothing to remove yet.
        if !ours || !entry.path().join("config.json").exists() {
            continue;
        }
        let abandoned =
            File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            // Somebody else may tidy up at the same moment.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "127.0.0.1:5000";

    fn directory(parent: &Path, name: &str) -> PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn the_login_stays_in_the_private_file() {
        let user = json!({
            "auths": { HOST: { "auth": "b2xkOm9sZA==" }, "ghcr.io": { "auth": "eDp5" } },
            "credsStore": "desktop",
            "credHelpers": { "gcr.io": "gcloud", HOST: "desktop" },
            "currentContext": "remote",
        });
        let private = private(user, HOST);
        assert_eq!(private["credHelpers"], json!({ "gcr.io": "gcloud", HOST: "" }));
        assert_eq!(private["auths"], json!({ "ghcr.io": { "auth": "eDp5" } }));
        assert_eq!(private["credsStore"], "desktop");
        assert_eq!(private["currentContext"], "remote");
        assert_eq!(super::private(json!([]), HOST), json!({ "credHelpers": { HOST: "" } }));
    }

    #[test]
    fn the_users_contexts_and_builders_are_used_where_they_lie() {
        let parent = tempfile::tempdir().unwrap();
        let user = directory(parent.path(), "user");
        directory(&user, "contexts");
        let private = PrivateConfig::create(parent.path(), &user, HOST).unwrap();
        assert_eq!(fs::read_link(private.path().join("contexts")).unwrap(), user.join("contexts"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(private.path()), 0o700);
        assert_eq!(mode(&private.path().join("config.json")), 0o600);
        let path = private.path().to_owned();
        drop(private);
        assert!(!path.exists() && user.join("contexts").exists());
    }

    #[test]
    fn a_panic_removes_it_too() {
        let parent = tempfile::tempdir().unwrap();
        let path = std::sync::Mutex::new(PathBuf::new());
        let panicked = std::panic::catch_unwind(|| {
            let nobody = parent.path().join("nobody");
            let private = PrivateConfig::create(parent.path(), &nobody, HOST).unwrap();
            *path.lock().unwrap() = private.path().to_owned();
            assert!(!private.path().exists());
        });
        assert!(panicked.is_err());
        let path = path.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(path.starts_with(parent.path()) && !path.exists());
    }

    #[test]
    fn the_next_run_removes_what_a_killed_one_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let nobody = parent.path().join("nobody");
        let alive = PrivateConfig::create(parent.path(), &nobody, HOST).unwrap();
        let dead = directory(parent.path(), &format!("{PREFIX}dead"));
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("config.json"), "{}").unwrap();
        let young = directory(parent.path(), &format!("{PREFIX}young"));
        let other = directory(parent.path(), "other");
        tidy_up(parent.path());
        assert!(!dead.exists());
        assert!(alive.path().exists() && young.exists() && other.exists());
    }

    #[test]
    fn a_broken_user_configuration_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let user = directory(parent.path(), "user");
        fs::write(user.join("config.json"), "{").unwrap();
        let error = PrivateConfig::create(parent.path(), &user, HOST).unwrap_err();
        assert!(error.is_configuration() && error.to_string().contains("config.json"), "{error}");
    }

    #[test]
    fn missing_variables_are_named() {
        let error = from_environment(HOST, |name| (name == USERNAME_VARIABLE).then(|| "a".into()));
        let error = error.unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().contains("set REGISTRY_PASSWORD, or"), "{error}");
        let error = from_environment(HOST, |_| None).unwrap_err();
        assert!(error.to_string().contains("set REGISTRY_USERNAME and REGISTRY_PASSWORD"));
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        assert!(is_refusal("login attempt to http://x/v2/ failed with status: 401 Unauthorized"));
        assert!(is_refusal("Get \"https://x/v2/\": unauthorized: authentication required"));
        assert!(!is_refusal("Get \"http://127.0.0.1:1/v2/\": dial tcp: connection refused"));
    }
}
