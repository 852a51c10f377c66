//! The dialogs that add, change and remove a user, and what follows from them.
//!
//! Nothing is shown as done before the API has done it: it may refuse each of these (a name is
//! taken, the last administrator stays), and a row that goes and comes back moves what is under the
//! finger.

use contract::User;
use leptos::prelude::*;

use super::{Dialog, RemoveUser, UserForm, follow, live, remove_user::QUESTION};
use crate::{
    api::Error,
    messages::{Kind, Messages},
    pages::UserList,
    session::Session,
};

/// What the person is about to do.
#[derive(Clone)]
pub(crate) enum UserAction {
    Write(Draft),
    Remove(User),
}

impl UserAction {
    pub(crate) fn add() -> Self {
        Self::Write(Draft { user: None, username: String::new(), email: String::new() })
    }

    pub(crate) fn edit(user: User) -> Self {
        let (username, email) = (user.username.clone(), user.email.clone().unwrap_or_default());
        Self::Write(Draft { user: Some(user), username, email })
    }
}

/// A user as far as they are written. A password is never a part of it: that stays in its field.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Who is to be changed; nobody where one is to be added.
    pub(crate) user: Option<User>,
    pub(crate) username: String,
    pub(crate) email: String,
}

/// What somebody was writing when their session ended: it waits for them to sign in again. In
/// memory only, and for nobody else.
#[derive(Clone, Copy)]
pub(crate) struct Interrupted(StoredValue<Option<(i64, Draft)>>);

impl Interrupted {
    pub(crate) fn new() -> Self {
        Self(StoredValue::new(None))
    }

    pub(crate) fn keep(self, author: i64, draft: Draft) {
        self.0.set_value(Some((author, draft)));
    }

    fn resume(self, me: i64) -> Option<UserAction> {
        let (author, draft) = self.0.try_update_value(Option::take)??;
        (author == me).then_some(UserAction::Write(draft))
    }
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

    pub(super) fn failed(self, error: &Error) {
        self.messages.say_error(error);
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

/// The dialog for `action`, as long as there is one. Nobody finds that of somebody else; who was
/// interrupted finds theirs.
#[component]
pub(crate) fn UserDialog(action: RwSignal<Option<UserAction>>) -> impl IntoView {
    let session = expect_context::<Session>();
    let interrupted = expect_context::<Interrupted>();
    let mut before = None;
    follow(move || {
        let me = session.user().map(|user| user.id);
        if me != before {
            before = me;
            action.set(me.and_then(|me| interrupted.resume(me)));
        }
    });

    let close = move |()| action.set(None);
    let dialog = move |action: UserAction| match action {
        UserAction::Write(draft) => {
            let title = match &draft.user {
                None => "Add a user".to_owned(),
                Some(user) => format!("Edit {}", user.username),
            };
            view! {
                <Dialog title on_close=close>
                    <UserForm draft />
                </Dialog>
            }
            .into_any()
        }
        UserAction::Remove(user) => view! {
            <Dialog title=format!("Remove {}?", user.username) described_by=QUESTION on_close=close>
                <RemoveUser user />
            </Dialog>
        }
        .into_any(),
    };
    live(move || action.get().map(dialog))
}
