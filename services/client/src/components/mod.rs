//! What pages are made of.

mod avatar;
mod dialog;
mod failed;
mod live;
mod navigation;
pub(crate) mod page;
mod password_form;
mod remove_user;
mod session_list;
mod sign_out;
mod user_dialog;
mod user_form;
mod user_table;

pub(crate) use self::{
    avatar::Avatar,
    dialog::{Dialog, DialogHandle},
    failed::failed,
    live::{fact, flag, follow, live, text, word},
    navigation::Navigation,
    page::Page,
    password_form::PasswordForm,
    remove_user::RemoveUser,
    session_list::SessionList,
    sign_out::SignOut,
    user_dialog::{Interrupted, UserAction, UserDialog},
    user_form::{UserForm, password_hint, username_hint},
    user_table::UserTable,
};
