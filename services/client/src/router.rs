//! Which page the address names, and how people get from one to another.
//!
//! The client has a handful of pages with fixed addresses. What they need of a router fits in this
//! file; one that can do everything costs a good part of what a visitor has to download.
//!
//! Links are plain `<a href>`: a click on one of ours is caught here, so the middle button, "open in
//! a new tab" and a page without scripts all work as usual.

use std::time::Duration;

use js_sys::Array;
use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlAnchorElement, MouseEvent, ScrollRestoration};

use crate::browser;

/// The pages for those who are not signed in.
pub(crate) const GUESTS_ONLY: [&str; 2] = ["/login", "/register"];

/// How the person came to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The browser has loaded it: it has set the focus and read the title itself.
    Loaded,
    /// By a link, or led by the application.
    Followed,
    /// Back or forward in the history.
    Returned,
}

/// Where the person is. A handle: copies are the same router.
#[derive(Clone, Copy)]
pub(crate) struct Router {
    path: RwSignal<String>,
    /// With its `?`; empty where there is none.
    query: RwSignal<String>,
    arrival: StoredValue<Arrival>,
    /// The number of the history's current entry.
    entry: StoredValue<u32>,
    /// How far down each entry of the history was scrolled when it was left.
    positions: StoredValue<Vec<(u32, f64)>>,
}

impl Router {
    /// Reads the address, and follows it from now on.
    pub(crate) fn start() -> Self {
        let router = Self {
            path: RwSignal::new(browser::location(web_sys::Location::pathname)),
            query: RwSignal::new(browser::location(web_sys::Location::search)),
            arrival: StoredValue::new(Arrival::Loaded),
            entry: StoredValue::new(browser::now_in_seconds()),
            positions: StoredValue::default(),
        };
        if let Ok(history) = window().history() {
            // The browser would scroll before the page that it scrolls is there.
            let _ = history.set_scroll_restoration(ScrollRestoration::Manual);
        }
        router.take_up_entry();
        if router.position() > 0.0 {
            spawn_local(router.scroll_back());
        }
        // Dropped handles keep listening; that is wanted.
        drop(window_event_listener(ev::click, move |event| router.clicked(&event)));
        drop(window_event_listener_untyped("popstate", move |_| router.returned()));
        // In time for a reload: what is written while the page goes is not kept.
        drop(window_event_listener_untyped("scrollend", move |_| router.write_position()));
        router
    }

    /// The path; reactive.
    pub(crate) fn path(self) -> String {
        self.path.get()
    }

    /// The decoded value of `name` in the query; reactive.
    pub(crate) fn query(self, name: &str) -> Option<String> {
        let query = self.query.get();
        let pairs = query.trim_start_matches('?').split('&');
        let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
        js_sys::decode_uri_component(value).ok().map(Into::into)
    }

    /// The path with the query; not reactive.
    pub(crate) fn address(self) -> String {
        untrack(|| format!("{}{}", self.path.get(), self.query.get()))
    }

    /// The address of the sign-in, which leads back here; reactive.
    pub(crate) fn sign_in(self) -> String {
        let (path, query) = (self.path.get(), self.query.get());
        if GUESTS_ONLY.contains(&path.as_str()) {
            format!("/login{query}")
        } else if path == "/" && query.is_empty() {
            "/login".to_owned()
        } else {
            format!("/login?next={}", js_sys::encode_uri_component(&format!("{path}{query}")))
        }
    }

    /// How the person came here.
    pub(crate) fn arrival(self) -> Arrival {
        self.arrival.get_value()
    }

    /// How far down the page was when the person left it.
    fn position(self) -> f64 {
        let entry = self.entry.get_value();
        self.positions.with_value(|all| {
            all.iter().find(|(of, _)| *of == entry).map_or(0.0, |(_, position)| *position)
        })
    }

    /// Goes to `target`, a path with or without a query.
    pub(crate) fn go(self, target: &str) {
        self.write_position();
        let entry = browser::now_in_seconds().max(self.entry.get_value().wrapping_add(1));
        self.entry.set_value(entry);
        if let Ok(history) = window().history() {
            // Fails only for another origin's address, and ours has none.
            let _ = history.push_state_with_url(&self.state(), "", Some(target));
        }
        self.arrive(Arrival::Followed);
    }

    /// Goes to `target` in place of the page that the person is on.
    pub(crate) fn go_instead(self, target: &str) {
        self.rename(target);
        self.arrive(Arrival::Followed);
    }

    /// Gives the page that is shown another query; nothing else changes.
    pub(crate) fn rename(self, target: &str) {
        if let Ok(history) = window().history() {
            let _ = history.replace_state_with_url(&self.state(), "", Some(target));
        }
        self.read_query();
    }

    fn returned(self) {
        // The old page is still shown, and still where it was.
        self.remember_position();
        self.take_up_entry();
        self.arrive(Arrival::Returned);
    }

    fn arrive(self, arrival: Arrival) {
        self.arrival.set_value(arrival);
        self.read_query();
        let path = browser::location(web_sys::Location::pathname);
        if self.path.with_untracked(|old| *old != path) {
            self.path.set(path);
        } else if arrival == Arrival::Returned {
            // To the same page with another query.
            spawn_local(self.scroll_back());
        } else {
            window().scroll_to_with_x_and_y(0.0, 0.0);
        }
    }

    fn read_query(self) {
        let query = browser::location(web_sys::Location::search);
        if self.query.with_untracked(|old| *old != query) {
            self.query.set(query);
        }
    }

    /// What the history keeps with its current entry: number and position.
    fn state(self) -> JsValue {
        Array::of2(&self.entry.get_value().into(), &self.position().into()).into()
    }

    /// Reads what the history keeps with its current entry, if that is one of ours.
    fn take_up_entry(self) {
        let state = window().history().and_then(|history| history.state());
        let Some(state) = state.ok().and_then(|state| state.dyn_into::<Array>().ok()) else {
            return;
        };
        let entry = browser::whole(state.get(0).as_f64().unwrap_or_default());
        self.entry.set_value(entry);
        self.positions.update_value(|all| {
            if all.iter().all(|(of, _)| *of != entry) {
                all.push((entry, state.get(1).as_f64().unwrap_or_default()));
            }
        });
    }

    /// Has the history keep how far down the page is.
    fn write_position(self) {
        self.remember_position();
        if let Ok(history) = window().history() {
            // Fails only for what cannot be copied, and numbers can.
            let _ = history.replace_state(&self.state(), "");
        }
    }

    /// Scrolls to where the person was when they left the page. It may not be long enough for that
    /// before what it shows is there.
    pub(crate) async fn scroll_back(self) {
        let (entry, position) = (self.entry.get_value(), self.position());
        // As long as a request for it may take.
        for _ in 0..400 {
            window().scroll_to_with_x_and_y(0.0, position);
            let reached = window().scroll_y().unwrap_or_default();
            if position - reached < 1.0 {
                return;
            }
            browser::sleep(Duration::from_millis(50)).await;
            let has_moved = window().scroll_y().is_ok_and(|now| (now - reached).abs() > 1.0);
            if has_moved || self.entry.get_value() != entry {
                return;
            }
        }
    }

    fn remember_position(self) {
        let (entry, position) = (self.entry.get_value(), window().scroll_y().unwrap_or_default());
        self.positions.update_value(|all| {
            all.retain(|(of, _)| *of != entry);
            all.push((entry, position));
        });
    }

    fn clicked(self, event: &MouseEvent) {
        let is_plain = event.button() == 0
            && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
        if event.default_prevented() || !is_plain {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let link = target.and_then(|element| element.closest("a[href]").ok().flatten());
        let Some(link) = link.and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok()) else {
            return;
        };
        let path = link.pathname();
        let is_ours = link.origin() == browser::location(web_sys::Location::origin)
            && link.target().is_empty()
            && link.hash().is_empty()
            && !contract::paths::is_api(&path);
        if is_ours {
            event.prevent_default();
            let target = format!("{path}{}", link.search());
            // The second click of two finds the person there already.
            if target != self.address() {
                self.go(&target);
            }
        }
    }
}
