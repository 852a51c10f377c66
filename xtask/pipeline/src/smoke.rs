//! The last word on a release: what a browser would see through the load balancer.
//!
//! `/ping` and the page must answer with the release's version, and every path that the load
//! balancer routes must lead to the application. That ECS calls a rollout complete proves none of
//! it. The HTTP client is the SDK's own, which is in this program anyway.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use crate::aws::balancer::Balancer;
use crate::aws::chain;

/// What one question may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the load balancer may take to notice what ECS knows already.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);
/// The time between two tries.
const PAUSE: Duration = Duration::from_secs(2);
/// The header in which both services say which release they are.
const VERSION: &str = "x-app-version";
/// Paths of the API, where the load balancer's rules are not known.
const API: [&str; 4] = ["/users", "/auth", "/doc", "/swagger.json"];

/// What is expected of the services; `None` where any version will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Of the API.
    pub(crate) users: Option<String>,
    /// Of the page.
    pub(crate) client: Option<String>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Smoke {
    /// Where it was asked.
    pub(crate) url: String,
    /// Whether all is well.
    pub(crate) ok: bool,
    /// Each path.
    pub(crate) probes: Vec<Probe>,
}

/// A path that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Probe {
    /// The path.
    pub(crate) path: String,
    /// The answer's status; `None` if there was none.
    pub(crate) status: Option<u16>,
    /// The version that it carried.
    pub(crate) version: Option<String>,
    /// What is wrong.
    pub(crate) problem: Option<String>,
}

impl Display for Smoke {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if !self.ok {
            let wrong: Vec<_> = self
                .probes
                .iter()
                .filter_map(|probe| Some(format!("{} {}", probe.path, probe.problem.as_ref()?)))
                .collect();
            return write!(f, "{} (asked at {})", wrong.join("; "), self.url);
        }
        let (main, rest): (Vec<_>, Vec<_>) =
            self.probes.iter().partition(|probe| matches!(&*probe.path, "/ping" | "/"));
        for probe in main {
            write!(f, "{} {} · ", probe.path, cut(probe.version.as_deref().unwrap_or("answers")))?;
        }
        let rest: Vec<_> = rest.iter().map(|probe| probe.path.as_str()).collect();
        write!(f, "{} answer", rest.join(" "))
    }
}

/// Where the application is reached: as configured, as the stack says, or at the load balancer.
#[must_use]
pub(crate) fn url(
    configured: Option<&str>,
    output: Option<&str>,
    balancer: Option<&Balancer>,
) -> Option<String> {
    let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
    if let Some(url) = configured.or(output) {
        return Some(trimmed(url));
    }
    let balancer = balancer?;
    // A certificate never fits a load balancer's own name.
    let port = balancer.listeners.iter().find(|listener| !listener.tls)?.port;
    let port = if port == 80 { String::new() } else { format!(":{port}") };
    Some(format!("http://{}{port}", balancer.dns.to_ascii_lowercase()))
}

/// The paths to ask for: those that everybody knows, and one for each of the load balancer's rules.
#[must_use]
pub(crate) fn paths(balancer: Option<&Balancer>) -> Vec<String> {
    let mut paths = vec!["/ping".to_owned(), "/".to_owned()];
    let patterns: Vec<&String> = balancer
        .iter()
        .flat_map(|balancer| &balancer.listeners)
        .flat_map(|listener| &listener.rules)
        .filter(|rule| rule.target_group.is_some())
        .flat_map(|rule| &rule.paths)
        .collect();
    if patterns.is_empty() {
        paths.extend(API.map(str::to_owned));
    }
    for pattern in patterns {
        // The shortest path that the pattern fits: `*` is any text, and `?` any character.
        let path = pattern.replace('*', "").replace('?', "x");
        let path = if path.is_empty() { "/".to_owned() } else { path };
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Asks until all is well, or patience ends.
pub(crate) async fn check(
    url: &str,
    paths: &[String],
    expected: &Expected,
    patience: Duration,
) -> Smoke {
    let http = connector();
    let end = Instant::now() + patience;
    loop {
        let probes = paths.iter().map(|path| probe(&http, url, path, expected));
        let probes = futures_util::future::join_all(probes).await;
        let ok = probes.iter().all(|probe| probe.problem.is_none());
        let smoke = Smoke { url: url.to_owned(), ok, probes };
        if ok || Instant::now() + PAUSE > end {
            return smoke;
        }
        sleep(PAUSE).await;
    }
}

async fn probe(http: &Connector, url: &str, path: &str, expected: &Expected) -> Probe {
    let (status, version, failure) = match ask(http, &format!("{url}{path}")).await {
        Ok(answer) => (Some(answer.status), answer.version, None),
        Err(cause) => (None, None, Some(format!("gave no answer: {cause}"))),
    };
    let problem = failure.or_else(|| judge(path, status, version.as_deref(), expected));
    Probe { path: path.to_owned(), status, version, problem }
}

/// What is wrong with an answer.
fn judge(
    path: &str,
    status: Option<u16>,
    version: Option<&str>,
    expected: &Expected,
) -> Option<String> {
    let status = status?;
    let wanted = if path == "/" { &expected.client } else { &expected.users };
    match (path, status) {
        (_, 500..) => return Some(format!("answered {status}")),
        ("/ping" | "/", 300..400) => {
            return Some(format!(
                "answered {status}, a redirect: set aws.url in {} to where it leads",
                crate::config::PATH
            ));
        }
        ("/ping" | "/", status) if status != 200 => return Some(format!("answered {status}")),
        _ => {}
    }
    match (version, wanted) {
        (None, _) => Some(format!(
            "answered {status} without {VERSION}: it does not come from the application"
        )),
        (Some(version), Some(wanted)) if version != wanted => {
            Some(format!("answered as version {}, and {} was released", cut(version), cut(wanted)))
        }
        _ => None,
    }
}

/// What an answer's head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The version that it carries.
    pub(crate) version: Option<String>,
    /// Where it leads.
    pub(crate) location: Option<String>,
}

/// Asks for one address; follows no redirect.
///
/// # Errors
/// There was no answer in time, or no connection that can be trusted.
pub(crate) async fn get(url: &str) -> Result<Answer, String> {
    ask(&connector(), url).await
}

fn connector() -> Connector {
    Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
}

async fn ask(http: &Connector, url: &str) -> Result<Answer, String> {
    let answer = timeout(LIMIT, call(http, url)).await;
    answer.unwrap_or_else(|_| Err(format!("not within {} s", LIMIT.as_secs())))
}

async fn call(http: &Connector, url: &str) -> Result<Answer, String> {
    let mut request = Request::new(SdkBody::empty());
    request.set_method("GET").map_err(|error| chain(&error))?;
    request.set_uri(url).map_err(|error| chain(&error))?;
    request.headers_mut().insert("user-agent", "pipeline");
    let answer = http.call(request).await.map_err(|error| chain(&error))?;
    let header = |name| answer.headers().get(name).map(str::to_owned);
    Ok(Answer {
        status: answer.status().as_u16(),
        version: header(VERSION),
        location: header("location"),
    })
}

/// Enough of a version to know it again.
fn cut(version: &str) -> String {
    match version.strip_suffix("-dirty") {
        Some(commit) => format!("{}-dirty", commit.get(..7).unwrap_or(commit)),
        None => version.get(..7).unwrap_or(version).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::balancer::{Listener, Rule};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn balancer() -> Balancer {
        let rule = |paths: &[&str], target: Option<&str>| Rule {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            target_group: target.map(str::to_owned),
        };
        let rules = vec![
            rule(&["/users*", "/ping"], Some("users")),
            rule(&["/doc", "/swagger*"], Some("users")),
            rule(&["/old*"], None),
            rule(&[], Some("client")),
        ];
        Balancer {
            dns: "Shop-alb-1.us-west-1.elb.amazonaws.com".to_owned(),
            listeners: vec![Listener { port: 80, tls: false, rules }],
        }
    }

    /// An application that answers `/ping` as `ping` says after so many tries, and the rest as
    /// version `c0ffee`.
    async fn application(ping: &'static str, after: u32) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let length = stream.read(&mut request).await.unwrap();
                    let good = "200 OK\r\nx-app-version: c0ffee";
                    let is_ping = request[..length].starts_with(b"GET /ping ");
                    let early = is_ping && asked.fetch_add(1, Ordering::Relaxed) < after;
                    let head = match (is_ping, early) {
                        (true, true) => "502 Bad Gateway",
                        (true, false) => ping,
                        _ => good,
                    };
                    let answer = format!(
                        "HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                });
            }
        });
        url
    }

    fn expected() -> Expected {
        Expected { users: Some("c0ffee".to_owned()), client: Some("c0ffee".to_owned()) }
    }

    #[test]
    fn each_rule_is_asked_once() {
        assert_eq!(paths(Some(&balancer())), ["/ping", "/", "/users", "/doc", "/swagger"]);
        assert_eq!(paths(None), ["/ping", "/", "/users", "/auth", "/doc", "/swagger.json"]);
    }

    #[test]
    fn the_address_is_the_one_that_was_said_or_the_load_balancer_s() {
        let host = "http://shop-alb-1.us-west-1.elb.amazonaws.com";
        assert_eq!(url(None, None, Some(&balancer())).as_deref(), Some(host));
        let said = url(Some("https://shop.example/"), Some("http://b"), Some(&balancer()));
        assert_eq!(said.as_deref(), Some("https://shop.example"));
        let mut encrypted = balancer();
        encrypted.listeners[0].tls = true;
        assert_eq!(url(None, None, Some(&encrypted)), None);
    }

    #[tokio::test]
    async fn a_release_that_answers_is_seen_also_if_it_takes_a_moment() {
        let url = application("200 OK\r\nx-app-version: c0ffee", 1).await;
        let smoke = check(&url, &paths(Some(&balancer())), &expected(), PATIENCE).await;
        assert!(smoke.ok, "{smoke}");
        assert_eq!(smoke.to_string(), "/ping c0ffee · / c0ffee · /users /doc /swagger answer");
    }

    #[tokio::test]
    async fn another_version_is_no_success() {
        let url = application("200 OK\r\nx-app-version: 0dd0dd0dd0", 0).await;
        let smoke = check(&url, &paths(None), &expected(), Duration::ZERO).await;
        assert!(!smoke.ok);
        let text = smoke.to_string();
        assert!(text.starts_with("/ping answered as version 0dd0dd0, and c0ffee was"), "{text}");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_the_application_s_is_no_success() {
        for (answer, said) in [
            ("502 Bad Gateway", "/ping answered 502"),
            ("404 Not Found\r\nx-app-version: c0ffee", "/ping answered 404"),
            ("301 Moved\r\nlocation: https://b/", "/ping answered 301, a redirect: set aws.url"),
            ("200 OK", "/ping answered 200 without x-app-version"),
        ] {
            let url = application(answer, 0).await;
            let smoke = check(&url, &paths(None), &expected(), Duration::ZERO).await.to_string();
            assert!(smoke.starts_with(said), "{smoke}");
        }
        let nobody = check("http://127.0.0.1:1", &paths(None), &expected(), Duration::ZERO).await;
        assert!(nobody.to_string().contains("/ping gave no answer: "), "{nobody}");
    }
}
