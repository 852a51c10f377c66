//! Where the person is signed in.

use contract::Session as SessionInfo;
use leptos::{html, prelude::*, task::spawn_local};

use super::{SignOut, fact, failed, flag, follow, live};
use crate::{
    api, browser,
    messages::{Kind, Messages},
    reading::Reading,
    session::Session,
};

/// The person's sessions, each with a button that ends it. Reads them anew when `version` changes.
#[component]
pub(crate) fn SessionList(#[prop(into)] version: Signal<u32>) -> impl IntoView {
    let session = expect_context::<Session>();
    // Nothing is known of them before the API has answered.
    let sessions = RwSignal::new(None::<Vec<SessionInfo>>);
    let reading = Reading::new();
    let list = NodeRef::<html::Ul>::new();

    let load = move || {
        reading.start(
            move || api::sessions(session),
            move |answer| {
                if answer.is_some() {
                    sessions.set(answer);
                    // Buttons may have done their work and go.
                    browser::bequeath_focus(move || list.try_get_untracked()?.map(Into::into));
                }
            },
        );
    };
    follow(move || {
        version.track();
        load();
    });
    let on_ended = Callback::new(move |()| {
        if let Some(list) = list.get_untracked()
            && list.matches(":focus-within").unwrap_or_default()
        {
            // The row that has the focus is about to go, and another one to take its place.
            browser::focus(&list);
        }
        load();
    });

    let has_others =
        fact(move || sessions.with(|list| list.iter().flatten().any(|session| !session.current)));

    let is_answered = fact(move || sessions.with(Option::is_some) || reading.problem().is_some());

    view! {
        {failed(reading, "sessions-problem", load)}
        <ul
            class="sessions"
            tabindex="-1"
            data-testid="sessions"
            aria-busy=flag(move || reading.is_busy())
            node_ref=list
        >
            // Each keeps its row: one that took over another's would get its second click.
            <For
                each=move || sessions.get().unwrap_or_default()
                key=|info| (info.id, info.last_used_date.clone())
                children=move |info| view! { <SessionItem info on_ended /> }.into_any()
            />
        </ul>
        {live(move || (!is_answered.get()).then(skeleton))}
        // Not before the list: it would push them away from under a finger.
        {live(move || {
            is_answered
                .get()
                .then(|| {
                    view! {
                        <div class="actions">
                            {live(move || {
                                has_others
                                    .get()
                                    .then(|| view! { <EndOthers reading on_ended /> }.into_any())
                            })}
                            <SignOut
                                label="Log out everywhere"
                                testid="logout-everywhere"
                                everywhere=true
                            />
                        </div>
                    }
                        .into_any()
                })
        })}
    }
}

/// The shape of a session, before there is one.
fn skeleton() -> AnyView {
    view! {
        <div class="card skeleton" aria-hidden="true">
            <span class="bone"></span>
            <span class="bone"></span>
        </div>
    }
    .into_any()
}

/// Ends all of the person's sessions but this one; also those that have begun since the list was
/// read.
async fn end_others(session: Session) -> api::Result<()> {
    loop {
        let mut others = api::sessions(session).await?;
        others.retain(|session| !session.current);
        if others.is_empty() {
            return Ok(());
        }
        for other in others {
            api::end_session(session, other.id).await?;
        }
    }
}

/// The button that ends all sessions but this one. It stands until the list has been read anew, and
/// does nothing meanwhile.
#[component]
fn EndOthers(reading: Reading, on_ended: Callback<()>) -> impl IntoView {
    let session = expect_context::<Session>();
    let messages = expect_context::<Messages>();
    let busy = RwSignal::new(false);
    let is_busy = move || busy.get() || reading.is_busy();
    let end = move |_| {
        if untrack(is_busy) {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            match end_others(session).await {
                Ok(()) => messages.say(Kind::Success, "You are logged out everywhere else."),
                Err(error) => messages.say_error(&error),
            }
            let _ = on_ended.try_run(());
            let _ = busy.try_set(false);
        });
    };
    view! {
        <button
            type="button"
            data-testid="end-others"
            aria-disabled=flag(is_busy)
            on:click=end
        >
            "Log out everywhere else"
        </button>
    }
}

#[component]
fn SessionItem(info: SessionInfo, on_ended: Callback<()>) -> impl IntoView {
    let session = expect_context::<Session>();
    let messages = expect_context::<Messages>();
    let busy = RwSignal::new(false);
    let SessionInfo { id, created_date, last_used_date, user_agent, current } = info;
    let name = browser_name(user_agent.as_deref().unwrap_or_default());
    let label = format!("Log out {name}");
    let end = move |_| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            match api::end_session(session, id).await {
                // The button stays as it is: its row goes once the list has been read anew.
                Ok(()) => {
                    messages.say(Kind::Success, "That session has ended.");
                    let _ = on_ended.try_run(());
                }
                Err(error) => {
                    messages.say_error(&error);
                    let _ = busy.try_set(false);
                }
            }
        });
    };
    view! {
        <li data-testid=format!("session-{id}")>
            <div>
                <strong title=user_agent>{name}</strong>
                {current.then(|| view! { " " <span class="badge">"this one"</span> })}
                <p class="hint">
                    "Logged in "
                    <time datetime=created_date.clone()>
                        {browser::day_and_time(&created_date)}
                    </time> ", last used "
                    <time datetime=last_used_date.clone()>
                        {browser::day_and_time(&last_used_date)}
                    </time>
                </p>
            </div>
            {if current {
                view! { <SignOut label="Log out" testid="end-session" /> }.into_any()
            } else {
                view! {
                    <button
                        type="button"
                        data-testid="end-session"
                        aria-label=label
                        aria-disabled=flag(move || busy.get())
                        on:click=end
                    >
                        "Log out"
                    </button>
                }
                    .into_any()
            }}
        </li>
    }
}

/// A browser as people call it: `Firefox on Linux`. What a user agent says of itself
/// is full of other browsers' names, so the order matters.
fn browser_name(user_agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) if user_agent.is_empty() => "Unknown program".to_owned(),
        // A program of the person's own, without its version and the rest.
        (None, None) => user_agent.split(['/', ' ']).next().unwrap_or(user_agent).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser_name;

    #[test]
    fn user_agents_in_words() {
        for (user_agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/130.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, \
                 like Gecko) Version/17.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
                "Firefox on Linux",
            ),
            ("curl/8.9.1", "curl"),
            ("HTTPie/3.2", "HTTPie"),
            ("", "Unknown program"),
        ] {
            assert_eq!(browser_name(user_agent), name);
        }
    }
}
