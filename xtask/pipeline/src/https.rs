//! The application's own domain, as a browser meets it: the name has to lead to the load balancer,
//! the certificate has to be good for it, and plain HTTP has to lead to HTTPS.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::aws::balancer::Balancer;
use crate::smoke::{self, Answer};

/// What looking a name up may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What was found, or what is wrong and what to do about it.
pub(crate) type Found = Result<String, String>;

/// The host of an address that begins with `https://`; `None` for any other.
#[must_use]
pub(crate) fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    rest.split(['/', ':']).next().filter(|host| !host.is_empty())
}

/// Whether the name leads to the load balancer.
pub(crate) async fn alias(host: &str, balancer: Option<&Balancer>) -> Found {
    let Some(balancer) = balancer else {
        return Err("there is no load balancer that it could lead to".to_owned());
    };
    let (ours, its) = tokio::join!(addresses(host), addresses(&balancer.dns));
    judge_alias(host, &balancer.dns, &ours, &its)
}

async fn addresses(host: &str) -> BTreeSet<IpAddr> {
    match timeout(LIMIT, lookup_host((host, 443))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        // Both mean that nobody gets there by this name.
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}

fn judge_alias(
    host: &str,
    balancer: &str,
    ours: &BTreeSet<IpAddr>,
    its: &BTreeSet<IpAddr>,
) -> Found {
    if ours.is_empty() {
        return Err(format!(
            "{host} has no address: its zone's name servers have to be those that its registrar \
             names; `dig NS` shows both"
        ));
    }
    if ours.is_disjoint(its) {
        return Err(format!(
            "{host} leads elsewhere than to {balancer}: `cargo xtask infra drift` shows whether \
             the record was changed"
        ));
    }
    Ok(format!("{host} leads to the load balancer"))
}

/// Whether a browser would trust the certificate.
pub(crate) async fn certificate(host: &str) -> Found {
    match smoke::get(&format!("https://{host}/ping")).await {
        Ok(_) => Ok(format!("good for {host}")),
        Err(cause) => Err(format!(
            "no trusted connection to {host}: {cause}. A certificate is issued once the zone can \
             be seen from outside; `cargo xtask infra outputs` and ACM tell its state"
        )),
    }
}

/// Whether plain HTTP leads to HTTPS.
pub(crate) async fn redirect(host: &str) -> Found {
    judge_redirect(host, smoke::get(&format!("http://{host}/about")).await)
}

fn judge_redirect(host: &str, answer: Result<Answer, String>) -> Found {
    let mend = "`cargo xtask infra drift` shows whether the listener was changed";
    let answer =
        answer.map_err(|cause| format!("http://{host} gave no answer: {cause}; {mend}"))?;
    let location = answer.location.unwrap_or_default();
    // The load balancer names the port, which a browser leaves out.
    let target = location.replacen(":443/", "/", 1);
    if matches!(answer.status, 301 | 308) && target == format!("https://{host}/about") {
        return Ok(format!("http://{host} leads to https"));
    }
    Err(match answer.status {
        300..400 => format!("http://{host}/about leads to {location:?}; {mend}"),
        status => format!("http://{host} answered {status} instead of leading to https; {mend}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|one| one.parse().unwrap()).collect()
    }

    fn answer(status: u16, location: Option<&str>) -> Result<Answer, String> {
        Ok(Answer { status, version: None, location: location.map(str::to_owned) })
    }

    #[test]
    fn only_https_has_a_host_to_look_at() {
        assert_eq!(host("https://app.example.com"), Some("app.example.com"));
        assert_eq!(host("https://app.example.com:8443/x"), Some("app.example.com"));
        assert_eq!(host("http://app.example.com"), None);
        assert_eq!(host("https:///"), None);
    }

    #[test]
    fn a_name_has_to_lead_to_the_load_balancer() {
        let judge = |ours: &[&str], its: &[&str]| {
            judge_alias("app.example.com", "alb.example", &set(ours), &set(its))
        };
        assert!(judge(&["192.0.2.1", "192.0.2.2"], &["192.0.2.2"]).is_ok());
        assert!(judge(&["192.0.2.1"], &["192.0.2.2"]).unwrap_err().contains("elsewhere"));
        assert!(judge(&[], &["192.0.2.2"]).unwrap_err().contains("has no address"));
    }

    #[test]
    fn plain_http_has_to_lead_to_the_same_page_by_https() {
        let judge = |answer| judge_redirect("a.example", answer);
        assert!(judge(answer(301, Some("https://a.example:443/about"))).is_ok());
        assert!(judge(answer(301, Some("https://a.example/about"))).is_ok());
        for (wrong, said) in [
            (answer(301, Some("https://b.example/about")), "leads to \"https://b.example/about\""),
            (answer(302, Some("https://a.example/about")), "leads to"),
            (answer(200, None), "answered 200 instead of leading to https"),
            (Err("connection refused".to_owned()), "gave no answer: connection refused"),
        ] {
            let problem = judge(wrong).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
