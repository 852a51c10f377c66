//! Whether and how connections to PostgreSQL are encrypted.
//!
//! There are two ways only: not at all, or with TLS and a server certificate
//! that is verified, chain and host name, against the bundle of `DATABASE_CA`
//! and nothing else. What libpq calls `require`, encryption without
//! verification, keeps out nobody who can redirect a connection. So any
//! `sslmode` that asks for TLS needs a `DATABASE_CA`, and with one every server
//! without TLS is refused.

use std::{fmt, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The protocol's name in TLS (ALPN), which PostgreSQL 17 asks for where TLS comes first.
const PROTOCOL: &[u8] = b"postgresql";

/// How connections are encrypted.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// Always, and the server is verified.
    Verified(MakeRustlsConnect),
}

/// What is wrong with `DATABASE_CA` or with the URL's `sslmode`. Shows nothing else of the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The URL asks for TLS, and there is nothing to verify the server by.
    #[error(
        "the database URL says sslmode={mode}, and there is nothing to verify the server by: set \
         DATABASE_CA to a PEM file of its certificate authority (for Amazon RDS, \
         https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem)"
    )]
    CaMissing {
        /// The URL's `sslmode`.
        mode: &'static str,
    },
    /// The URL forbids what `DATABASE_CA` asks for.
    #[error(
        "the database URL says sslmode=disable, and DATABASE_CA asks for TLS: remove one of them"
    )]
    Contradiction,
    /// There is no such `sslmode`.
    #[error(
        "the database URL has an unknown sslmode; it takes disable, allow, prefer, require, \
         verify-ca or verify-full"
    )]
    UnknownMode,
    /// The URL has a parameter of libpq's for certificates.
    #[error("{name} in the database URL is not read here: set DATABASE_CA to the PEM file instead")]
    Parameter {
        /// The parameter's name.
        name: &'static str,
    },
    /// The file cannot be read.
    #[error(
        "DATABASE_CA: {path} cannot be read: {cause}; name a PEM file that this process may read"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Why it cannot be read.
        cause: String,
    },
    /// The file holds no certificates.
    #[error("DATABASE_CA: {path} holds no certificate in PEM form that can be used{cause}")]
    NoCertificate {
        /// The file.
        path: String,
        /// What was found instead, if anything.
        cause: String,
    },
}

/// libpq's `sslmode`, as far as it makes a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `disable`.
    Forbidden,
    /// `allow`, `prefer`, or nothing said.
    Open,
    /// `require`, `verify-ca`, `verify-full`.
    Required(&'static str),
}

impl Mode {
    fn parse(text: &str) -> Result<Self, TlsError> {
        match text {
            "disable" => Ok(Self::Forbidden),
            "allow" | "prefer" => Ok(Self::Open),
            "require" => Ok(Self::Required("require")),
            "verify-ca" => Ok(Self::Required("verify-ca")),
            "verify-full" => Ok(Self::Required("verify-full")),
            _ => Err(TlsError::UnknownMode),
        }
    }
}

/// Takes `sslmode` out of a URL: tokio-postgres knows not all of its values.
pub(super) fn take_mode(url: &str) -> Result<(String, Mode), TlsError> {
    // A question mark before the first @ belongs to the password, as tokio-postgres reads URLs.
    let place = url.find('@').unwrap_or(0);
    let (credentials, rest) = url.split_at(place);
    let Some((location, query)) = rest.split_once('?') else {
        return Ok((url.to_owned(), Mode::Open));
    };
    let mut mode = Mode::Open;
    let mut others = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let of_libpq = ["sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir"];
        if let Some(name) = of_libpq.into_iter().find(|known| *known == name) {
            return Err(TlsError::Parameter { name });
        } else if name == "sslmode" {
            mode = Mode::parse(value)?;
        } else {
            others.push(parameter);
        }
    }
    let separator = if others.is_empty() { "" } else { "?" };
    Ok((format!("{credentials}{location}{separator}{}", others.join("&")), mode))
}

impl Tls {
    /// What the URL's `sslmode` and the file of `DATABASE_CA` come to.
    pub(super) fn new(mode: Mode, ca: Option<&Path>) -> Result<Self, TlsError> {
        match (mode, ca) {
            (Mode::Forbidden, Some(_)) => Err(TlsError::Contradiction),
            (Mode::Required(mode), None) => Err(TlsError::CaMissing { mode }),
            (Mode::Forbidden | Mode::Open, None) => Ok(Self::Off),
            (Mode::Open | Mode::Required(_), Some(path)) => {
                let file = || path.display().to_string();
                let pem = std::fs::read(path).map_err(|error| TlsError::Unreadable {
                    path: file(),
                    cause: error.to_string(),
                })?;
                verified(&pem)
                    .map(Self::Verified)
                    .map_err(|cause| TlsError::NoCertificate { path: file(), cause })
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Verified(_) => "Verified",
        })
    }
}

/// A TLS client that trusts the certificates of `pem` and no others.
fn verified(pem: &[u8]) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    let mut fault = String::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        if let Err(error) = added {
            // One that can't be used, in a provider's bundle of a hundred, is no reason to stop.
            tracing::warn!(error, "DATABASE_CA: a certificate cannot be used");
            fault = format!(": {error}");
        }
    }
    if roots.is_empty() {
        return Err(fault);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!(": {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn sslmode_is_taken_out_of_the_url() {
        for (url, expected, mode) in [
            ("postgres://u:p@h/d", "postgres://u:p@h/d", Mode::Open),
            ("postgres://u:p@h/d?sslmode=disable", "postgres://u:p@h/d", Mode::Forbidden),
            ("postgres://u:p@h/d?sslmode=prefer", "postgres://u:p@h/d", Mode::Open),
            (
                "postgres://u:p@h/d?sslmode=verify-full",
                "postgres://u:p@h/d",
                Mode::Required("verify-full"),
            ),
            (
                "postgres://u:p@h/d?a=1&sslmode=require&b=2",
                "postgres://u:p@h/d?a=1&b=2",
                Mode::Required("require"),
            ),
            // The password is not the query.
            (
                "postgres://u:p?sslmode=require@h/d",
                "postgres://u:p?sslmode=require@h/d",
                Mode::Open,
            ),
            (
                "postgres:///d?host=/run/postgresql",
                "postgres:///d?host=/run/postgresql",
                Mode::Open,
            ),
            ("postgres://", "postgres://", Mode::Open),
        ] {
            assert_eq!(take_mode(url), Ok((expected.to_owned(), mode)), "{url}");
        }
        assert_eq!(take_mode("postgres://h/d?sslmode=maybe"), Err(TlsError::UnknownMode));
        assert_eq!(take_mode("postgres://h/d?sslmode"), Err(TlsError::UnknownMode));
        assert_eq!(
            take_mode("postgres://h/d?sslrootcert=/ca.pem"),
            Err(TlsError::Parameter { name: "sslrootcert" })
        );
    }

    #[test]
    fn tls_is_verified_or_off() {
        let new = |mode, ca: Option<&str>| Tls::new(mode, ca.map(Path::new)).map(|_| ());
        assert_eq!(new(Mode::Open, None), Ok(()));
        assert_eq!(new(Mode::Forbidden, None), Ok(()));
        assert_eq!(
            new(Mode::Required("require"), None),
            Err(TlsError::CaMissing { mode: "require" })
        );
        assert_eq!(new(Mode::Forbidden, Some("ca.pem")), Err(TlsError::Contradiction));
        let missing = new(Mode::Open, Some("missing/ca.pem")).unwrap_err().to_string();
        assert!(missing.starts_with("DATABASE_CA: missing/ca.pem cannot be read: "), "{missing}");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Tls::new(Mode::Open, Some(&manifest)).unwrap_err();
        assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
        for pem in [
            "".as_bytes(),
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        ] {
            assert!(verified(pem).is_err(), "{pem:?}");
        }
    }
}
