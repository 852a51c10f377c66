//! The dialogs that add, change and remove a user, and what follows from them.

use contract::User;
use leptos::prelude::*;

use super::{Dialog, RemoveUser, UserForm, live};
use crate::{
    messages::{Kind, Messages},
    session::Session,
};

/// What the person is about to do.
#[derive(Clone, PartialEq)]
pub(crate) enum UserAction {
    Add,
    Edit(User),
    Remove(User),
}

/// The dialog for `action`, as long as there is one.
#[component]
pub(crate) fn UserDialog(
    action: RwSignal<Option<UserAction>>,
    /// This user was added or changed.
    #[prop(into)]
    on_saved: Callback<User>,
    /// This user is gone.
    #[prop(into)]
    on_removed: Callback<User>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let messages = expect_context::<Messages>();

    let saved = move |text: &'static str| {
        move |user: User| {
            if session.user_id() == Some(user.id) {
                session.user_changed(user.clone());
            }
            on_saved.run(user);
            messages.say(Kind::Success, text);
        }
    };
    let removed = move |user: User| {
        let own = session.user_id() == Some(user.id);
        on_removed.run(user);
        if own {
            session.account_removed();
            messages.carry(Kind::Success, "Your account was removed.");
        } else {
            messages.say(Kind::Success, "User removed.");
        }
    };
    let close = move |()| action.set(None);
    let dialog = move |action: UserAction| match action {
        UserAction::Add => view! {
            <Dialog title="Add a user".to_owned() on_close=close>
                <UserForm user=None on_done=saved("User added.") />
            </Dialog>
        }
        .into_any(),
        UserAction::Edit(user) => view! {
            <Dialog title=format!("Edit {}", user.username) on_close=close>
                <UserForm user=Some(user) on_done=saved("User updated.") />
            </Dialog>
        }
        .into_any(),
        UserAction::Remove(user) => view! {
            <Dialog title=format!("Remove {}?", user.username) on_close=close>
                <RemoveUser user on_done=removed />
            </Dialog>
        }
        .into_any(),
    };
    live(move || action.get().map(dialog))
}
