//! TLS for the rehearsal's PostgreSQL, which production's demands: a certificate authority that
//! lives as long as the database does, and a certificate for the database's address.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// Runs in the image of PostgreSQL, which carries openssl, with the address as `$1`. The
/// authority's key is gone before anybody hears of its certificate.
const SCRIPT: &str = r#"set -eu
umask 077
cd "$PGDATA"
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.pem -days 7 -subj '/CN=Rehearsal'
openssl req -new $key -keyout server.key -out server.csr -subj '/CN=database'
echo "subjectAltName=IP:$1" > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile server.ext \
    -days 7 -out server.crt
rm ca.key server.csr server.ext
psql --quiet --no-align --tuples-only --username postgres --output /dev/null \
    --command 'ALTER SYSTEM SET ssl = on' --command 'SELECT pg_reload_conf()'
cat ca.pem"#;

/// Has the server in a container speak TLS, too. Gives the certificate of its authority.
///
/// # Errors
/// The container has no openssl, or is gone.
pub(super) fn switch_on(container: &str, url: &str) -> Result<String> {
    let address = address(url).context("the database's address has no host")?;
    let mut command = Command::new("docker");
    command.args(["exec", "--user", "postgres", container, "sh", "-c", SCRIPT, "sh", address]);
    process::read(&mut command).context("the rehearsal's PostgreSQL gets no certificate")
}

/// The host in a URL without a query. The password in it consists of hexadecimal digits.
fn address(url: &str) -> Option<&str> {
    let (_, location) = url.split_once('@')?;
    location.split([':', '/']).next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_the_url() {
        assert_eq!(address("postgres://a:b@172.17.0.3:5432/users"), Some("172.17.0.3"));
        assert_eq!(address("postgres://a:b@/users"), None);
    }
}
