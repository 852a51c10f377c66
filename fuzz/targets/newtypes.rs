//! User names, e-mail addresses and passwords: what is accepted keeps the rules that are written
//! down, and is accepted again.

#![no_main]

use contract::{
    Email, Password, Strength, Username,
    form::{Rule, Violation},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(username) = Username::check(text.to_owned()) {
        let name = username.as_str();
        assert!((Username::MIN..=Username::MAX).contains(&name.len()) && name == text);
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
        assert!(Username::can_begin_with(name));
    }
    if let Ok(email) = Email::check(text.to_owned()) {
        let address = email.as_str();
        assert!((Email::MIN..=Email::MAX).contains(&address.len()));
        assert!(address.is_ascii() && address == text.trim());
        assert!(address.split('@').count() == 2 && !address.contains(['\0', ' ', '\r', '\n']));
        assert_eq!(
            Email::check(address.to_owned()).map(|e| e.as_str().to_owned()).ok().as_deref(),
            Some(address)
        );
    }
    let password: Result<Password, Violation> = Password::check(text.to_owned());
    let length = text.chars().count();
    if let Ok(password) = &password {
        assert!((Password::MIN..=Password::MAX).contains(&length) && password.expose() == text);
        // Whatever it is compared with.
        let _ = password.differs_from(text, text);
    }
    let taken = matches!(Strength::of(text), Strength::Fair | Strength::Strong);
    assert_eq!(taken, password.is_ok());
});
