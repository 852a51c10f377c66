//! What the tabs of one browser tell each other.

use leptos::{ev, prelude::window_event_listener};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{BroadcastChannel, MessageEvent, StorageEvent};

use super::{hint, token::Token};
use crate::api::read_json;
use contract::User;

const CHANNEL: &str = "session";

/// What one tab tells the others.
#[derive(Serialize, Deserialize)]
pub(super) enum News {
    SignedIn {
        token: Token,
        user: User,
    },
    /// The session goes on with another token.
    Renewed(Token),
    /// The user has another name or address.
    UserChanged(User),
    SignedOut,
    /// The API no longer knows the session.
    Ended,
    /// Somebody has signed in; who, the API must be asked.
    SomebodySignedIn,
}

/// The other tabs.
pub(super) struct Tabs(Option<BroadcastChannel>);

impl Tabs {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// From now on `hear` is told what the other tabs tell.
    pub(super) fn open(hear: impl Fn(News) + 'static) -> Self {
        let Ok(channel) = BroadcastChannel::new(CHANNEL) else {
            listen_to_the_hint(hear);
            return Self::none();
        };
        let listener = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            // A tab with another release of this program may tell what this one does not know.
            let news = event.data().as_string();
            if let Some(news) = news.and_then(|news| read_json(&news)) {
                hear(news);
            }
        });
        channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        // It listens as long as the page lives.
        listener.forget();
        Self(Some(channel))
    }

    pub(super) fn tell(&self, news: &News) {
        if let (Some(channel), Ok(news)) = (&self.0, serde_json::to_string(news)) {
            // Fails on a closed channel only, and nothing closes it.
            let _ = channel.post_message(&news.into());
        }
    }
}

/// Where there are no channels, a change of the hint tells the most important: in or out.
fn listen_to_the_hint(hear: impl Fn(News) + 'static) {
    let listener = window_event_listener(ev::storage, move |event: StorageEvent| {
        if event.key().as_deref() == Some(hint::KEY) {
            let is_set = event.new_value().is_some();
            hear(if is_set { News::SomebodySignedIn } else { News::SignedOut });
        }
    });
    // A dropped handle keeps listening; that is wanted.
    drop(listener);
}
