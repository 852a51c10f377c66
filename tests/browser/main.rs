//! The client in Chromium, page by page: what a person does, sees and gets wrong.

mod accessibility;
mod account;
mod aftermath;
mod doc;
mod faults;
mod forms;
mod impatience;
mod keyboard;
mod navigation;
mod search;
mod sessions;
mod users;
