//! The list of users as a table; on a phone each row is a card, and still a row to a screen reader.

use leptos::prelude::*;

use super::{Avatar, UserAction, fact, failed, flag, live, text, word};
use crate::{
    browser,
    pages::{Entry, UserList},
    session::Session,
};

/// How many rows stand in for a list that is not there yet.
const SKELETONS: usize = 6;

/// Who is signed in, as far as rows care.
#[derive(Clone, Copy, PartialEq)]
struct Me {
    id: i64,
    is_admin: bool,
}

/// The users of `list`, with what the person may do to them: `action` is what they choose.
#[component]
pub(crate) fn UserTable(list: UserList, action: RwSignal<Option<UserAction>>) -> impl IntoView {
    let session = expect_context::<Session>();
    let me = Memo::new(move |_| {
        session.user().map(|me| Me { id: me.id, is_admin: me.is_admin == Some(true) })
    });
    let is_member = fact(move || me.get().is_some());
    let is_admin = fact(move || me.get().is_some_and(|me| me.is_admin));
    let has_none = fact(move || list.len() == 0 && list.problem().is_none());
    let is_waiting = fact(move || has_none.get() && list.is_loading());
    let is_empty = fact(move || has_none.get() && !list.is_loading());

    let skeletons =
        live(move || is_waiting.get().then(|| [(); SKELETONS].map(|()| skeleton()).into_any()));
    let nobody = live(move || {
        is_empty.get().then(|| {
            let prefix = list.shown_prefix();
            let text = if prefix.is_empty() {
                view! {
                    "There are no users yet. "
                    <a href="/register">"Register"</a>
                    ", and be the first."
                }
                .into_any()
            } else {
                format!("No name begins with “{prefix}”.").into_any()
            };
            view! {
                <p class="nothing" data-testid="nobody">
                    {text}
                </p>
            }
            .into_any()
        })
    });
    let more = live(move || {
        list.has_more().then(|| {
            view! {
                <button
                    type="button"
                    data-testid="load-more"
                    aria-disabled=flag(move || list.is_loading())
                    on:click=move |_| list.read_more()
                >
                    {word(move || if list.is_loading() { "One moment…" } else { "Load more" })}
                </button>
            }
            .into_any()
        })
    });

    // The roles repeat what the elements mean: laid out as cards, browsers forget that.
    view! {
        <table
            role="table"
            data-testid="users"
            aria-busy=flag(move || list.is_loading())
            hidden=Signal::derive(move || list.len() == 0 && !is_waiting.get())
        >
            <caption class="out-of-sight">"Users"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"User"</th>
                    // Nobody else is shown the others' addresses.
                    {live(move || {
                        let email = || view! { <th role="columnheader" scope="col">"Email"</th> };
                        is_admin.get().then(|| email().into_any())
                    })}
                    <th role="columnheader" scope="col" class="joined">"Joined"</th>
                    {live(move || {
                        is_member.get().then(|| {
                            view! {
                                <th role="columnheader" scope="col" class="row-actions">
                                    <span class="out-of-sight">"Actions"</span>
                                </th>
                            }
                            .into_any()
                        })
                    })}
                </tr>
            </thead>
            <tbody role="rowgroup">
                <For
                    each=move || list.users()
                    key=|entry| entry.id
                    children=move |entry| row(entry, me, action)
                />
                {skeletons}
            </tbody>
        </table>
        <div role="status">{nobody}</div>
        {failed(list.reading(), "users-problem", move || list.try_again())}
        <p class="hint" tabindex="-1" role="status" data-testid="users-count" node_ref=list.count()>
            {text(move || summary(list))}
        </p>
        {more}
    }
}

/// One user.
fn row(
    Entry { id, user }: Entry,
    me: Memo<Option<Me>>,
    action: RwSignal<Option<UserAction>>,
) -> AnyView {
    let is_me = fact(move || me.get().is_some_and(|me| me.id == id));
    let may_change = fact(move || me.get().is_some_and(|me| me.id == id || me.is_admin));
    let is_member = fact(move || me.get().is_some());
    let is_admin = fact(move || me.get().is_some_and(|me| me.is_admin));
    let user = RwSignal::from(user);
    let name = Signal::derive(move || user.with(|user| user.username.clone()));
    let created_date = user.with_untracked(|user| user.created_date.clone());
    let button = move |testid: &'static str, label: &'static str, open: fn(_) -> UserAction| {
        view! {
            <button
                type="button"
                data-testid=testid
                aria-label=text(move || format!("{label} {}", name.get()))
                on:click=move |_| action.set(Some(open(user.get_untracked())))
            >
                {label}
            </button>
        }
    };
    view! {
        <tr role="row" data-testid=format!("user-{id}")>
            <th role="rowheader" scope="row">
                <div class="person">
                    <Avatar name />
                    <span class="name">
                        <bdi>{name}</bdi>
                        {live(move || is_me.get().then(|| badge("you")))}
                        {live(move || {
                            user.with(|user| user.is_admin == Some(true)).then(|| badge("admin"))
                        })}
                    </span>
                </div>
            </th>
            {live(move || {
                is_admin.get().then(|| {
                    let email =
                        text(move || user.with(|user| user.email.clone()).unwrap_or_default());
                    view! {
                        <td role="cell" class="email">
                            {email}
                        </td>
                    }
                    .into_any()
                })
            })}
            <td role="cell" class="joined">
                <time datetime=created_date.clone()>{browser::day(&created_date)}</time>
            </td>
            {live(move || {
                let buttons = || {
                    [
                        button("edit", "Edit", UserAction::edit),
                        button("remove", "Remove", UserAction::Remove),
                    ]
                    .into_any()
                };
                is_member.get().then(|| {
                    view! {
                        <td role="cell" class="row-actions">
                            {may_change.get().then(buttons)}
                        </td>
                    }
                    .into_any()
                })
            })}
        </tr>
    }
    .into_any()
}

fn badge(text: &'static str) -> AnyView {
    view! { <span class="badge">{text}</span> }.into_any()
}

/// The shape of a row, before there is one.
fn skeleton() -> impl IntoView {
    view! {
        <tr class="skeleton" aria-hidden="true">
            <td>
                <div class="person">
                    <span class="avatar"></span>
                    <span class="bone"></span>
                </div>
            </td>
            <td class="joined">
                <span class="bone"></span>
            </td>
        </tr>
    }
}

/// How much of the list is there.
fn summary(list: UserList) -> String {
    match (list.len(), list.has_more()) {
        // Those that are shown need not be all.
        (_, false) if list.problem().is_some() => String::new(),
        (0, _) if list.is_loading() => "Loading the users…".to_owned(),
        (0, _) => String::new(),
        (1, false) => "1 user".to_owned(),
        (count, false) => format!("{count} users"),
        (count, true) => format!("The first {count} users"),
    }
}
