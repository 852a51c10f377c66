//! Refresh tokens as clients show them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use users::auth::refresh_token::RefreshToken;

fuzz_target!(|text: &str| {
    if let Ok(token) = RefreshToken::parse(text) {
        // There is one way to write a token: or it could be used twice.
        assert_eq!(token.expose(), text);
        let sealed = token.seal(&token);
        assert!(token.unseal(sealed) == token);
    }
});
