//! What the page says to the person: one message at a time, in a live region that lies over the
//! page's lower edge. A failure stays until it is dismissed, another message comes, or the person
//! goes to another page; a success goes by itself after a while.

use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};

use crate::{api::Error, browser, components::live};

/// How long a success is shown, unless the person is about to read or dismiss it.
const SHOWN_FOR: Duration = Duration::from_secs(8);

/// Whether a message tells of a success or a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Success,
    Failure,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    kind: Kind,
    text: String,
    /// Stays through one change of page: it was said on the way there.
    carried: bool,
}

/// The message that is shown. A handle: copies show the same one.
#[derive(Clone, Copy)]
pub(crate) struct Messages {
    shown: RwSignal<Option<Message>>,
    /// Counts the messages.
    said: StoredValue<u32>,
    region: NodeRef<html::Div>,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { shown: RwSignal::new(None), said: StoredValue::new(0), region: NodeRef::new() }
    }

    /// Says `text` on this page.
    pub(crate) fn say(self, kind: Kind, text: impl Into<String>) {
        self.show(Message { kind, text: text.into(), carried: false });
    }

    /// Says why a call has failed.
    pub(crate) fn say_error(self, error: &Error) {
        // That the session is over has been said, and not only on this page.
        if !matches!(error, Error::SignedOut) {
            self.say(Kind::Failure, error.to_string());
        }
    }

    /// Says `text` on the page that the person is being led to.
    pub(crate) fn carry(self, kind: Kind, text: impl Into<String>) {
        self.show(Message { kind, text: text.into(), carried: true });
    }

    fn show(self, mut message: Message) {
        let passes = message.kind == Kind::Success;
        self.said.update_value(|said| *said = said.wrapping_add(1));
        let said = self.said.get_value();
        if said.is_multiple_of(2) {
            // Said once more it is another text, or screen readers would not read it out again.
            message.text.push('\u{a0}');
        }
        self.shown.set(Some(message));
        if passes {
            spawn_local(async move {
                browser::sleep(SHOWN_FOR).await;
                while self.is_in_use() {
                    browser::sleep(SHOWN_FOR / 4).await;
                }
                if self.said.get_value() == said {
                    self.clear();
                }
            });
        }
    }

    /// Whether the person points at the message or is in it with the keyboard.
    fn is_in_use(self) -> bool {
        let region = self.region.get_untracked();
        region.is_some_and(|region| region.matches(":hover, :focus-within").unwrap_or_default())
    }

    /// The person has gone to another page.
    pub(crate) fn page_changed(self) {
        self.shown.update(|message| match message {
            Some(message) if message.carried => message.carried = false,
            other => *other = None,
        });
    }

    pub(crate) fn clear(self) {
        self.shown.set(None);
    }
}

/// The region that messages appear in. It is always there, or screen readers miss the first one.
#[component]
pub(crate) fn MessageRegion() -> impl IntoView {
    let messages = expect_context::<Messages>();
    // Whether a message is carried is no reason to read it out again.
    let shown =
        Memo::new(move |_| messages.shown.get().map(|message| (message.kind, message.text)));
    let message = live(move || {
        let (kind, text) = shown.get()?;
        let class = match kind {
            Kind::Success => "message success",
            Kind::Failure => "message failure",
        };
        let message = view! {
            <div class=class data-testid="message">
                <p>{text}</p>
                <button
                    type="button"
                    class="quiet"
                    data-testid="dismiss"
                    on:click=move |_| {
                        messages.clear();
                        browser::focus_main();
                    }
                >
                    "Dismiss"
                </button>
            </div>
        };
        Some(message.into_any())
    });
    view! {
        <div class="messages" role="status" data-testid="messages" node_ref=messages.region>
            {message}
        </div>
    }
}
