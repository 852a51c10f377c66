//! The users that have been loaded. It outlives the page that shows it: who comes back finds as
//! many users, of the same search, as were there before.

use std::time::Duration;

use contract::{User, Username, paths};
use leptos::{html, prelude::*, task::spawn_local};

use crate::{
    api::{self, UserPage},
    browser,
    session::Session,
};

/// Who reads: nobody in particular, or this user, who may be an administrator.
pub(crate) type Reader = Option<Option<(i64, Option<bool>)>>;

/// The pauses before a list that could not be read is read again.
const FIRST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One user, who may yet be changed.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) user: ArcRwSignal<User>,
}

/// What has been loaded. A handle: copies are the same list.
#[derive(Clone, Copy)]
pub(crate) struct UserList {
    session: Session,
    users: RwSignal<Vec<Entry>>,
    next: RwSignal<Option<String>>,
    loading: RwSignal<bool>,
    problem: RwSignal<Option<String>>,
    prefix: RwSignal<String>,
    reader: StoredValue<Reader>,
    /// Counts the readings from the start: an answer to an earlier one comes too late.
    reading: StoredValue<u32>,
    /// Says how many users are there; takes the focus from what disappears.
    count: NodeRef<html::P>,
}

impl UserList {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            users: RwSignal::default(),
            next: RwSignal::new(None),
            loading: RwSignal::new(true),
            problem: RwSignal::new(None),
            prefix: RwSignal::default(),
            reader: StoredValue::new(None),
            reading: StoredValue::new(0),
            count: NodeRef::new(),
        }
    }

    /// Shows the users whose names begin with `prefix` to `reader`; where `as_it_was`, what has
    /// been loaded will do.
    pub(crate) fn show(self, prefix: &str, reader: Reader, as_it_was: bool) {
        let is_same = self.reader.get_value() == reader && self.prefix() == prefix;
        if as_it_was && is_same && self.has_users() {
            return;
        }
        if !is_same {
            // What another reader was shown is not for this one.
            self.users.set(Vec::new());
            self.next.set(None);
        }
        self.reader.set_value(reader);
        self.prefix.set(prefix.to_owned());
        self.read();
    }

    /// Shows those users only whose names begin with `prefix`. Those of before stay until they are there.
    pub(crate) fn narrow(self, prefix: &str) {
        self.prefix.set(prefix.to_owned());
        self.read();
    }

    /// What the names begin with; not reactive.
    pub(crate) fn prefix(self) -> String {
        self.prefix.get_untracked()
    }

    /// What the names begin with; reactive.
    pub(crate) fn shown_prefix(self) -> String {
        self.prefix.get()
    }

    /// The users; reactive.
    pub(crate) fn users(self) -> Vec<Entry> {
        self.users.get()
    }

    /// How many are there; reactive.
    pub(crate) fn len(self) -> usize {
        self.users.with(Vec::len)
    }

    fn has_users(self) -> bool {
        self.users.with_untracked(|users| !users.is_empty())
    }

    /// Whether there are more than have been loaded; reactive.
    pub(crate) fn has_more(self) -> bool {
        self.next.with(Option::is_some)
    }

    /// Whether the API is being asked; reactive.
    pub(crate) fn is_loading(self) -> bool {
        self.loading.get()
    }

    /// Why the list could not be read; reactive.
    pub(crate) fn problem(self) -> Option<String> {
        self.problem.get()
    }

    /// The paragraph that says how many users are there.
    pub(crate) fn count(self) -> NodeRef<html::P> {
        self.count
    }

    /// Reads the list from the start.
    pub(crate) fn read(self) {
        self.reading.update_value(|reading| *reading = reading.wrapping_add(1));
        let prefix = self.prefix();
        if !prefix.is_empty() && !Username::can_begin_with(&prefix) {
            // No need to ask.
            self.loading.set(false);
            return self.take(UserPage { users: Vec::new(), next: None }, true);
        }
        let path = if prefix.is_empty() {
            paths::USERS.to_owned()
        } else {
            format!("{}?q={}", paths::USERS, js_sys::encode_uri_component(&prefix))
        };
        self.load(path, true);
    }

    /// Reads on.
    pub(crate) fn read_more(self) {
        match self.next.get_untracked() {
            Some(next) if !self.loading.get_untracked() => self.load(next, false),
            _ => {}
        }
    }

    /// Tries again what could not be read.
    pub(crate) fn try_again(self) {
        if self.has_users() && self.next.with_untracked(Option::is_some) {
            self.read_more();
        } else if !self.loading.get_untracked() {
            self.read();
        }
    }

    fn load(self, path: String, from_the_start: bool) {
        let reading = self.reading.get_value();
        self.loading.set(true);
        spawn_local(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let page = api::users(self.session, &path).await;
                if self.reading.get_value() != reading {
                    return;
                }
                self.loading.set(false);
                let error = match page {
                    Ok(page) => return self.take(page, from_the_start),
                    Err(error) => error,
                };
                self.problem.set(Some(error.to_string()));
                if !error.is_temporary() {
                    return;
                }
                // The service comes back by itself, and then so does the list.
                browser::sleep(error.retry_after().unwrap_or_default().max(pause)).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
                while !browser::is_visible() {
                    browser::sleep(FIRST_PAUSE).await;
                }
                let is_still_wanted = self.reading.get_value() == reading
                    && !self.loading.get_untracked()
                    && self.problem.with_untracked(Option::is_some);
                if !is_still_wanted {
                    return;
                }
            }
        });
    }

    fn take(self, UserPage { users, next }: UserPage, from_the_start: bool) {
        self.problem.set(None);
        self.users.update(|known| {
            // A row that is shown already is kept, and with it the focus that may be in it.
            let entries = users.into_iter().map(|user| entry(known, user)).collect::<Vec<_>>();
            if from_the_start {
                *known = entries;
            } else {
                // One that was added here may come again.
                known.retain(|known| entries.iter().all(|entry| entry.id != known.id));
                known.extend(entries);
            }
        });
        if !from_the_start && next.is_none() {
            // The button has done its work and goes.
            self.focus_count();
        }
        self.next.set(next);
    }

    /// Takes up a user who was added or changed.
    pub(crate) fn put(self, user: User) {
        self.users.update(|known| {
            let entry = entry(known, user);
            if known.iter().all(|known| known.id != entry.id) {
                known.push(entry);
            }
        });
    }

    /// Takes out a user who was removed.
    pub(crate) fn remove(self, id: i64) {
        self.users.update(|users| users.retain(|user| user.id != id));
    }

    pub(crate) fn focus_count(self) {
        if let Some(count) = self.count.get_untracked() {
            browser::focus(&count);
        }
    }
}

/// The entry for `user`: the `known` one, brought up to date, or a new one.
fn entry(known: &[Entry], user: User) -> Entry {
    match known.iter().find(|known| known.id == user.id) {
        Some(known) => {
            known.user.set(user);
            known.clone()
        }
        None => Entry { id: user.id, user: ArcRwSignal::new(user) },
    }
}
