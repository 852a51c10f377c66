//! An image registry with a password, on a port of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::ACCEPT;
use serde_json::Value;
use tempfile::TempDir;
use tests::guard::{Guarded, free_port};

/// Who may push. ECR's tokens are for a user of this name.
pub(crate) const USERNAME: &str = "AWS";
pub(crate) const PASSWORD: &str = "open sesame";
/// The line of `htpasswd -nbB AWS 'open sesame'`.
const HTPASSWD: &str = "AWS:$2y$05$lu.8/10t3NQ8hJ6bU4fcHOJvs/kAJQ.AKrvJqaKHjSjnM247v9.ue";

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.oci.image.manifest.v1+json";

/// A registry that ends with the test.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    http: reqwest::Client,
    _server: Guarded,
    _data: TempDir,
}

impl Registry {
    /// Starts Debian's `docker-registry` where it is installed, else the image `registry:2`.
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        std::fs::write(data.path().join("htpasswd"), format!("{HTPASSWD}\n")).unwrap();
        let installed = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .map(|directory| directory.join("docker-registry"))
                .find(|program| program.is_file())
        });
        let server = match installed {
            Some(program) => native(&program, &host, data.path()),
            None => container(&host, data.path()),
        };
        let http = reqwest::Client::new();
        let registry = Self { host, http, _server: server, _data: data };
        registry.wait().await;
        registry
    }

    async fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.http.get(format!("http://{}/v2/", self.host)).send().await.is_err() {
            assert!(
                Instant::now() < end,
                "no registry: install docker-registry (Debian), or let Docker pull registry:2"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.http.get(format!("http://{}/v2/{path}", self.host));
        request.basic_auth(USERNAME, Some(PASSWORD)).header(ACCEPT, MANIFEST).send().await.unwrap()
    }

    /// The tags of a repository, sorted; none where there is no such repository.
    pub(crate) async fn tags(&self, repository: &str) -> Vec<String> {
        let answer = self.get(&format!("{repository}/tags/list")).await;
        if answer.status() == 404 {
            return Vec::new();
        }
        let answer: Value = answer.json().await.unwrap();
        let tags = answer["tags"].as_array().into_iter().flatten();
        let mut tags: Vec<_> = tags.map(|tag| tag.as_str().unwrap().to_owned()).collect();
        tags.sort();
        tags
    }

    /// The digest that a tag names.
    pub(crate) async fn digest(&self, repository: &str, tag: &str) -> String {
        let answer = self.get(&format!("{repository}/manifests/{tag}")).await;
        assert_eq!(answer.status(), 200, "{repository}:{tag}");
        answer.headers()["docker-content-digest"].to_str().unwrap().to_owned()
    }
}

fn native(program: &Path, host: &str, data: &Path) -> Guarded {
    let configuration = data.join("config.yml");
    let (store, htpasswd) = (data.join("store"), data.join("htpasswd"));
    let text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: {host}\nauth:\n  htpasswd:\n    realm: tests\n    path: {}\n",
        store.display(),
        htpasswd.display()
    );
    std::fs::write(&configuration, text).unwrap();
    Guarded::start("TERM", program, |command| {
        command.arg("serve").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
    })
}

fn container(host: &str, data: &Path) -> Guarded {
    Guarded::start("TERM", Path::new("docker"), |command| {
        command.args(["run", "--rm", "--publish", &format!("{host}:5000")]);
        command.arg("--volume").arg(format!("{}:/auth:ro", data.display()));
        command.args(["--env", "REGISTRY_AUTH=htpasswd"]);
        command.args(["--env", "REGISTRY_AUTH_HTPASSWD_REALM=tests"]);
        command.args(["--env", "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd"]);
        command.arg("registry:2").stdout(Stdio::null()).stderr(Stdio::null());
    })
}
