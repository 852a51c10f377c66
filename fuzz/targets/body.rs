//! Bodies of requests: JSON that the forms read, or do not.

#![no_main]

use contract::{ChangePassword, Form, Login, NewUser, Refresh, UpdateUser, form::Input};
use libfuzzer_sys::fuzz_target;

/// What is refused says which fields, and each once a rule.
fn read<T: Input>(text: &str) {
    let Ok(form) = serde_json::from_str::<Form>(text) else { return };
    if let Err(errors) = T::parse(form) {
        assert!(!errors.is_empty());
        assert!(errors.iter().all(|error| !error.message.is_empty()));
    }
}

fuzz_target!(|text: &str| {
    read::<Login>(text);
    read::<NewUser>(text);
    read::<UpdateUser>(text);
    read::<ChangePassword>(text);
    read::<Refresh>(text);
});
