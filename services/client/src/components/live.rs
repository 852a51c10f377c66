//! What of the page follows signals.
//!
//! Leptos compiles its machinery anew for the type of every closure in a view. Behind these few
//! types it is compiled once, which saves a visitor a tenth of the download.

use std::sync::{Arc, Mutex};

use leptos::prelude::*;

/// A part of the page that comes, changes and goes.
pub(crate) fn live(part: impl Fn() -> Option<AnyView> + Send + 'static) -> AnyView {
    let part: Arc<Mutex<dyn FnMut() -> Option<AnyView> + Send>> = Arc::new(Mutex::new(part));
    part.into_any()
}

/// Text or an attribute that changes.
pub(crate) fn text(text: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(text)
}

/// Like [`text`], with words that are known beforehand.
pub(crate) fn word(
    word: impl Fn() -> &'static str + Send + Sync + 'static,
) -> Signal<&'static str> {
    Signal::derive(word)
}

/// An answer that others follow, and hear of only when it becomes another one.
pub(crate) fn fact(fact: impl Fn() -> bool + Send + Sync + 'static) -> Memo<bool> {
    let fact: Box<dyn Fn() -> bool + Send + Sync> = Box::new(fact);
    Memo::new(move |_| fact())
}

/// An ARIA attribute that is `true` or `false`.
pub(crate) fn flag(flag: impl Fn() -> bool + Send + Sync + 'static) -> Signal<&'static str> {
    Signal::derive(move || if flag() { "true" } else { "false" })
}

/// Does `action` now, and again whenever what it has read changes.
pub(crate) fn follow(action: impl FnMut() + 'static) {
    let mut action: Box<dyn FnMut()> = Box::new(action);
    Effect::new(move |_| action());
}
