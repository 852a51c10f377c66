//! The users that have been loaded. It outlives the page that shows it: who comes back finds as
//! many users, of the same search, as were there before.

use contract::{User, Username, paths};
use leptos::{html, prelude::*};

use crate::{
    api::{self, UserPage},
    browser,
    reading::Reading,
    session::Session,
};

/// Who reads: nobody in particular, or this user, who may be an administrator.
pub(crate) type Reader = Option<(i64, Option<bool>)>;

/// One user, who may yet be changed.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) user: ArcRwSignal<User>,
}

/// A part of the list, to be read.
#[derive(Clone)]
struct Part {
    path: String,
    from_the_start: bool,
}

/// What has been loaded. A handle: copies are the same list.
#[derive(Clone, Copy)]
pub(crate) struct UserList {
    session: Session,
    users: RwSignal<Vec<Entry>>,
    next: RwSignal<Option<String>>,
    prefix: RwSignal<String>,
    /// Nobody yet, before the first has asked.
    reader: StoredValue<Option<Reader>>,
    reading: Reading,
    /// What is being read or could not be.
    part: StoredValue<Option<Part>>,
    /// Says how many users are there; takes the focus from what disappears.
    count: NodeRef<html::P>,
}

impl UserList {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            users: RwSignal::default(),
            next: RwSignal::new(None),
            prefix: RwSignal::default(),
            reader: StoredValue::new(None),
            reading: Reading::new(),
            part: StoredValue::new(None),
            count: NodeRef::new(),
        }
    }

    /// Shows the users whose names begin with `prefix` to `reader`; where `as_it_was`, what has
    /// been loaded will do.
    pub(crate) fn show(self, prefix: &str, reader: Reader, as_it_was: bool) {
        let is_same = self.reader.get_value() == Some(reader) && self.prefix() == prefix;
        if as_it_was && is_same && self.users.with_untracked(|users| !users.is_empty()) {
            return;
        }
        if !is_same {
            // What another reader was shown is not for this one.
            self.users.set(Vec::new());
            self.next.set(None);
        }
        self.reader.set_value(Some(reader));
        self.prefix.set(prefix.to_owned());
        self.read();
    }

    /// Shows those users only whose names begin with `prefix`. Those of before stay until they are there.
    pub(crate) fn narrow(self, prefix: &str) {
        if self.prefix() != prefix {
            self.prefix.set(prefix.to_owned());
            self.read();
        }
    }

    /// What the names begin with; not reactive.
    fn prefix(self) -> String {
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

    /// Whether there are more than have been loaded; reactive.
    pub(crate) fn has_more(self) -> bool {
        self.next.with(Option::is_some)
    }

    /// Whether the API is being asked; reactive.
    pub(crate) fn is_loading(self) -> bool {
        self.reading.is_busy()
    }

    /// How the reading of it goes.
    pub(crate) fn reading(self) -> Reading {
        self.reading
    }

    /// Why the list could not be read; reactive.
    pub(crate) fn problem(self) -> Option<String> {
        self.reading.problem()
    }

    /// The paragraph that says how many users are there.
    pub(crate) fn count(self) -> NodeRef<html::P> {
        self.count
    }

    fn read(self) {
        self.reading.stop();
        let prefix = self.prefix();
        if !prefix.is_empty() && !Username::can_begin_with(&prefix) {
            // No need to ask.
            return self.take(UserPage { users: Vec::new(), next: None }, true);
        }
        let path = if prefix.is_empty() {
            paths::USERS.to_owned()
        } else {
            format!("{}?q={}", paths::USERS, js_sys::encode_uri_component(&prefix))
        };
        self.load(Part { path, from_the_start: true });
    }

    /// Reads on.
    pub(crate) fn read_more(self) {
        if let Some(path) = self.next.get_untracked()
            && !untrack(|| self.is_loading())
        {
            self.load(Part { path, from_the_start: false });
        }
    }

    /// Tries again what could not be read.
    pub(crate) fn try_again(self) {
        if let Some(part) = self.part.get_value() {
            self.load(part);
        }
    }

    fn load(self, part: Part) {
        self.part.set_value(Some(part.clone()));
        let Part { path, from_the_start } = part;
        let ask = move || {
            let path = path.clone();
            async move { api::users(self.session, &path).await }
        };
        self.reading.start(ask, move |page| match page {
            Some(page) => self.take(page, from_the_start),
            None if from_the_start => self.lack(),
            None => {}
        });
    }

    fn take(self, UserPage { users, next }: UserPage, from_the_start: bool) {
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
        self.next.set(next);
        // A button may have done its work and go.
        self.bequeath_focus();
    }

    /// What was found before the search is no answer to it, nor the way to more.
    fn lack(self) {
        self.users.update(|known| {
            known.retain(|entry| entry.user.with_untracked(|user| self.is_wanted(user)));
        });
        self.next.set(None);
    }

    fn is_wanted(self, user: &User) -> bool {
        let prefix = self.prefix();
        let start = user.username.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(&prefix))
    }

    /// Takes up a user who was added.
    pub(crate) fn add(self, user: User) {
        if self.is_wanted(&user) {
            self.users.update(|known| {
                let entry = entry(known, user);
                if known.iter().all(|known| known.id != entry.id) {
                    known.push(entry);
                }
            });
        }
    }

    /// Takes up what was changed of a user.
    pub(crate) fn change(self, user: User) {
        if self.is_wanted(&user) {
            self.users.with_untracked(|known| entry(known, user));
        } else {
            self.remove(user.id);
        }
    }

    /// Takes out a user who was removed.
    pub(crate) fn remove(self, id: i64) {
        self.users.update(|users| users.retain(|user| user.id != id));
        self.bequeath_focus();
    }

    fn bequeath_focus(self) {
        browser::bequeath_focus(move || self.count.get_untracked().map(Into::into));
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
