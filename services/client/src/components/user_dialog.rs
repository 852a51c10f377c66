//! The dialogs that add, change and remove a user, and what follows from them.

use contract::User;
use leptos::prelude::*;

use super::{Dialog, RemoveUser, UserForm, live};
use crate::{
    messages::{Kind, Messages},
    pages::UserList,
    session::Session,
};

/// What the person is about to do.
#[derive(Clone, PartialEq)]
pub(crate) enum UserAction {
    Add,
    Edit(User),
    Remove(User),
}

/// What follows once the API has done it. No part of the dialog or the page: the person may have
/// closed the one and left the other before the answer came.
#[derive(Clone, Copy)]
pub(crate) struct Consequences {
    session: Session,
    messages: Messages,
    list: UserList,
}

impl Consequences {
    pub(crate) fn here() -> Self {
        Self {
            session: expect_context::<Session>(),
            messages: expect_context::<Messages>(),
            list: expect_context::<UserList>(),
        }
    }

    pub(crate) fn added(self, user: User) {
        self.list.add(user);
        self.messages.say(Kind::Success, "User added.");
    }

    pub(crate) fn changed(self, user: User) {
        if self.session.user_id() == Some(user.id) {
            self.session.user_changed(user.clone());
        }
        self.list.change(user);
        self.messages.say(Kind::Success, "User updated.");
    }

    pub(crate) fn removed(self, id: i64) {
        self.list.remove(id);
        if self.session.user_id() == Some(id) {
            self.session.account_removed();
            self.messages.carry(Kind::Success, "Your account was removed.");
        } else {
            self.messages.say(Kind::Success, "User removed.");
        }
    }
}

/// The dialog for `action`, as long as there is one.
#[component]
pub(crate) fn UserDialog(action: RwSignal<Option<UserAction>>) -> impl IntoView {
    let close = move |()| action.set(None);
    let dialog = move |action: UserAction| match action {
        UserAction::Add => view! {
            <Dialog title="Add a user".to_owned() on_close=close>
                <UserForm user=None />
            </Dialog>
        }
        .into_any(),
        UserAction::Edit(user) => view! {
            <Dialog title=format!("Edit {}", user.username) on_close=close>
                <UserForm user=Some(user) />
            </Dialog>
        }
        .into_any(),
        UserAction::Remove(user) => view! {
            <Dialog title=format!("Remove {}?", user.username) on_close=close>
                <RemoveUser user />
            </Dialog>
        }
        .into_any(),
    };
    live(move || action.get().map(dialog))
}
