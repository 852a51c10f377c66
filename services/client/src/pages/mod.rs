//! One file a page. Their addresses are `contract::paths::PAGES`.

mod about;
mod login;
mod not_found;
mod register;
mod status;
mod user_list;
mod users;

pub(crate) use self::{
    about::About,
    login::{Login, NewcomersEmail},
    not_found::NotFound,
    register::Register,
    status::Status,
    user_list::{Entry, UserList},
    users::Users,
};
