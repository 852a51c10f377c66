//! Refresh tokens: 256 random bits that buy the next pair of tokens, once.
//!
//! The database keeps a token's SHA-256 only, so a copy of it signs nobody in.
//! A plain hash is enough: there is nothing to guess in 256 random bits.
//!
//! # The sealed successor
//!
//! A used token may be shown again for a short while (two tabs, an answer that
//! was lost on the way), and then its holder must get the very same successor
//! as before: a second one would leave one of the two tabs with a token that
//! does not work. So the successor has to be kept, but not in the clear.
//!
//! It is kept as a one-time pad: `successor ⊕ SHA-256(label ‖ used token)`. The
//! used token is 256 random bits, the label sets this digest apart from the one
//! that is stored for look-up, and each token seals one successor only. So the
//! database alone reveals nothing of the successor, and whoever shows the used
//! token, and nobody else, can lift the seal.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::REFRESH_TOKEN_PREFIX;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

const LENGTH: usize = 32;
const HASH_LABEL: &[u8] = b"users refresh token hash\0";
const SEAL_LABEL: &[u8] = b"users refresh token successor\0";

/// A refresh token in the clear: as it is issued, and as it comes back.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RefreshToken([u8; LENGTH]);

/// What was sent is no refresh token of ours. Its text is not repeated here: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token: it must be {REFRESH_TOKEN_PREFIX} and 43 characters of base64url")]
pub struct InvalidRefreshToken;

impl RefreshToken {
    /// A new token.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut token = Self([0; LENGTH]);
        getrandom::fill(&mut token.0)?;
        Ok(token)
    }

    /// Reads a token. There is exactly one way to write each.
    ///
    /// # Errors
    /// For anything else than what [`Self::expose`] gives.
    pub fn parse(text: &str) -> Result<Self, InvalidRefreshToken> {
        let encoded = text.strip_prefix(REFRESH_TOKEN_PREFIX).ok_or(InvalidRefreshToken)?;
        // The decoder needs room for an estimate that is a byte too large; the length is checked first,
        // so that nothing large is ever decoded.
        let mut buffer = zeroize::Zeroizing::new([0; LENGTH + 4]);
        if encoded.len() != LENGTH.saturating_mul(4).div_ceil(3) {
            return Err(InvalidRefreshToken);
        }
        let length = URL_SAFE_NO_PAD
            .decode_slice(encoded, buffer.as_mut_slice())
            .map_err(|_| InvalidRefreshToken)?;
        let bytes = buffer.get(..length).ok_or(InvalidRefreshToken)?;
        bytes.try_into().map(Self).map_err(|_| InvalidRefreshToken)
    }

    /// The token as text, for the answer to the one who may have it.
    pub fn expose(&self) -> String {
        format!("{REFRESH_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What the database keeps, and finds the token by.
    pub fn hash(&self) -> [u8; LENGTH] {
        self.digest(HASH_LABEL)
    }

    /// Seals the token that this one was exchanged for; only the holder of this one can lift it.
    pub fn seal(&self, successor: &Self) -> [u8; LENGTH] {
        xor(successor.0, self.digest(SEAL_LABEL))
    }

    /// The successor that [`Self::seal`] sealed. From another token's seal comes a token that
    /// nobody has: its hash is in no database.
    pub fn unseal(&self, sealed: [u8; LENGTH]) -> Self {
        Self(xor(sealed, self.digest(SEAL_LABEL)))
    }

    fn digest(&self, label: &[u8]) -> [u8; LENGTH] {
        Sha256::new().chain_update(label).chain_update(self.0).finalize().into()
    }
}

fn xor(mut left: [u8; LENGTH], right: [u8; LENGTH]) -> [u8; LENGTH] {
    for (left, right) in left.iter_mut().zip(right) {
        *left ^= right;
    }
    left
}

impl PartialEq for RefreshToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for RefreshToken {}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_refused() {
        let good = RefreshToken([7; LENGTH]).expose();
        assert!(RefreshToken::parse(&good).is_ok());
        let body = good.strip_prefix(REFRESH_TOKEN_PREFIX).unwrap();
        for bad in [
            String::new(),
            REFRESH_TOKEN_PREFIX.to_owned(),
            body.to_owned(),
            format!("{good}="),
            format!("{good}A"),
            format!(" {good}"),
            format!("{good}\n"),
            good.to_uppercase(),
            good.chars().take(good.len() - 1).collect(),
            // The last character carries four bits; others than zero in the rest are another spelling.
            format!("{}1", good.strip_suffix('c').unwrap()),
            format!("{REFRESH_TOKEN_PREFIX}{}", "+".repeat(43)),
            format!("{REFRESH_TOKEN_PREFIX}{}", "ä".repeat(21)),
            format!("{REFRESH_TOKEN_PREFIX}{}", "A".repeat(1 << 20)),
        ] {
            assert_eq!(RefreshToken::parse(&bad), Err(InvalidRefreshToken), "{bad:.60}");
        }
    }

    #[test]
    fn no_two_are_alike_and_none_shows_itself() {
        let token = RefreshToken::generate().unwrap();
        assert_ne!(token, RefreshToken::generate().unwrap());
        assert_eq!(format!("{token:?}"), "RefreshToken(…)");
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        // Sessions outlive a release: another hash would sign everybody out.
        let hash = RefreshToken([0; LENGTH]).hash();
        let expected =
            Sha256::digest([b"users refresh token hash\0".as_slice(), &[0; 32]].concat());
        assert_eq!(hash.as_slice(), expected.as_slice());
    }

    proptest! {
        #[test]
        fn a_token_survives_the_way_out_and_back(bytes: [u8; LENGTH]) {
            let token = RefreshToken(bytes);
            let text = token.expose();
            prop_assert_eq!(text.len(), REFRESH_TOKEN_PREFIX.len() + 43);
            prop_assert_eq!(RefreshToken::parse(&text), Ok(token));
        }

        #[test]
        fn nothing_panics_and_what_is_read_is_written_alike(text in ".*") {
            if let Ok(token) = RefreshToken::parse(&text) {
                prop_assert_eq!(token.expose(), text);
            }
        }

        #[test]
        fn near_misses_are_refused_or_written_alike(
            text in "[A-Za-z0-9_=+/-]{42,44}".prop_map(|body| format!("{REFRESH_TOKEN_PREFIX}{body}")),
        ) {
            if let Ok(token) = RefreshToken::parse(&text) {
                prop_assert_eq!(token.expose(), text);
            }
        }

        #[test]
        fn the_holder_of_the_used_token_gets_the_successor(used: [u8; 32], successor: [u8; 32]) {
            let (used, successor) = (RefreshToken(used), RefreshToken(successor));
            prop_assert_eq!(used.unseal(used.seal(&successor)), successor);
        }

        #[test]
        fn nobody_else_does(used: [u8; 32], successor: [u8; 32], other: [u8; 32]) {
            prop_assume!(used != other);
            let (used, other) = (RefreshToken(used), RefreshToken(other));
            let successor = RefreshToken(successor);
            let sealed = used.seal(&successor);
            prop_assert_ne!(&other.unseal(sealed), &successor);
            // Nor does the stored hash of the used token serve as the pad.
            prop_assert_ne!(xor(sealed, used.hash()), successor.0);
        }
    }
}
