//! The little that is needed of the browser itself.

use std::time::Duration;

use js_sys::{Date, Object, Promise, Reflect};
use leptos::{
    ev,
    prelude::{RwSignal, Set, document, window, window_event_listener},
    task::spawn_local,
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{FocusOptions, HtmlElement, Location, MouseEvent, Storage, VisibilityState};

/// The element that the application lives in.
pub(crate) fn root() -> Option<HtmlElement> {
    document().get_element_by_id("app")?.dyn_into().ok()
}

/// Shows what the page has in store for a failure of this program: see `index.html`.
pub(crate) fn show_failure() {
    if let Some(root) = document().document_element() {
        // Fails only for a name that is none.
        let _ = root.set_attribute("data-failed", "");
    }
}

/// Names the document after its page.
pub(crate) fn set_title(page: &str) {
    let site = "Users";
    if page == site {
        document().set_title(site);
    } else {
        document().set_title(&format!("{page} · {site}"));
    }
}

/// A part of the address.
pub(crate) fn location(part: fn(&Location) -> Result<String, JsValue>) -> String {
    part(&window().location()).unwrap_or_default()
}

/// Moves the focus, and leaves the page where it is.
pub(crate) fn focus(element: &HtmlElement) {
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    // Fails only where the element cannot have the focus.
    let _ = element.focus_with_options(&options);
}

/// Gives the focus to `heir`, or else to the page's main part, if what has it now goes from the page
/// with what has just changed.
pub(crate) fn bequeath_focus(heir: impl Fn() -> Option<HtmlElement> + 'static) {
    let holder = document().active_element();
    let heir: Box<dyn Fn() -> Option<HtmlElement>> = Box::new(heir);
    spawn_local(async move {
        // Until the change is to be seen.
        sleep(Duration::ZERO).await;
        if holder.is_none_or(|holder| holder.is_connected()) || !focus_is_free() {
            return;
        }
        if let Some(heir) = heir() {
            focus(&heir);
        }
        // What is not shown takes no focus.
        if focus_is_free() {
            focus_main();
        }
    });
}

/// Whether nothing on the page has the focus.
fn focus_is_free() -> bool {
    document().active_element().is_none_or(|holder| holder.tag_name() == "BODY")
}

/// Gives the focus to the page's main part: what had it is gone.
pub(crate) fn focus_main() {
    let main = document().get_element_by_id("main");
    if let Some(main) = main.and_then(|main| main.dyn_into::<HtmlElement>().ok()) {
        focus(&main);
    }
}

/// Whether the device has a network; reactive.
pub(crate) fn online() -> RwSignal<bool> {
    let online = RwSignal::new(window().navigator().on_line());
    // Dropped handles keep listening; that is wanted.
    drop(window_event_listener(ev::online, move |_| online.set(true)));
    drop(window_event_listener(ev::offline, move |_| online.set(false)));
    online
}

/// Has the second of two quick clicks reach only what the first has hit: it is not meant for what has
/// come in its place meanwhile.
pub(crate) fn guard_second_clicks() {
    let mut first = None;
    let guard = Closure::<dyn FnMut(MouseEvent)>::new(move |event: MouseEvent| {
        if event.detail() < 2 {
            first = event.target();
        } else if event.target() != first {
            event.prevent_default();
            event.stop_propagation();
        }
    });
    let listener = guard.as_ref().unchecked_ref();
    // Ahead of all others; it fails only for a listener that is none.
    let _ = window().add_event_listener_with_callback_and_bool("click", listener, true);
    // It listens as long as the page lives.
    guard.forget();
}

/// The time since 1970, by the device's clock.
pub(crate) fn now() -> Duration {
    Duration::from_secs(u64::from(now_in_seconds()))
}

/// The seconds since 1970, by the device's clock.
pub(crate) fn now_in_seconds() -> u32 {
    whole(Date::now() / 1000.0)
}

/// The whole part of a number that the browser gave; 0 where it has none that fits.
#[expect(clippy::as_conversions, reason = "the one way from a float; it saturates, as wanted")]
pub(crate) fn whole(number: f64) -> u32 {
    number as u32
}

/// Whether the person can see this tab.
pub(crate) fn is_visible() -> bool {
    document().visibility_state() == VisibilityState::Visible
}

/// Waits. A background tab may be woken later than it asked for.
pub(crate) async fn sleep(time: Duration) {
    gloo_timers::future::sleep(time).await;
}

/// Waits, though no longer than until the device has a network again.
pub(crate) async fn sleep_until_online(time: Duration) {
    let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let mut awake = None;
    let asleep = Promise::new(&mut |resolve, _| {
        let window = window();
        // Neither fails for a function that is one.
        let _ = window.add_event_listener_with_callback("online", &resolve);
        let _ =
            window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
        awake = Some(resolve);
    });
    // It is never rejected.
    let _ = JsFuture::from(asleep).await;
    if let Some(awake) = awake {
        let _ = window().remove_event_listener_with_callback("online", &awake);
    }
}

/// What stays on this device; `None` where the person forbids that.
pub(crate) fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// A day as people here write it: `24 Nov 2026`; the text itself where it is no date.
pub(crate) fn day(rfc3339: &str) -> String {
    localised(rfc3339, &[("dateStyle", "medium")])
}

/// A day and time as people here write it: `24 Nov 2026, 14:03`.
pub(crate) fn day_and_time(rfc3339: &str) -> String {
    localised(rfc3339, &[("dateStyle", "medium"), ("timeStyle", "short")])
}

fn localised(rfc3339: &str, styles: &[(&str, &str)]) -> String {
    let date = Date::new(&JsValue::from_str(rfc3339));
    if date.get_time().is_nan() {
        return rfc3339.to_owned();
    }
    let options = Object::new();
    for (name, style) in styles {
        // Setting a member of a fresh object cannot fail.
        let _ = Reflect::set(&options, &(*name).into(), &(*style).into());
    }
    let locale = window().navigator().language().unwrap_or_else(|| "en".to_owned());
    date.to_locale_string(&locale, &options).into()
}
