//! One refresh at a time: in all tabs through the Web Locks API, and at least in
//! this one where that is missing (it is on plain HTTP, but for localhost).
//!
//! The API is called by reflection, as `web-sys` still counts it as unstable.

use std::{cell::Cell, time::Duration};

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use crate::browser;

const NAME: &str = "session";

/// A tab that does not go on within this time (it is being debugged, say) must not
/// stop all others. More than the two requests of a sign-in may take.
const PATIENCE_MS: u32 = 45_000;

thread_local! {
    static TAKEN: Cell<bool> = const { Cell::new(false) };
}

/// This tab's turn; it ends when dropped.
pub(super) struct Turn {
    release: Option<Function>,
    /// The browser may call it for as long as the turn lasts.
    _refused: Option<Closure<dyn FnMut(JsValue)>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.set(false);
        if let Some(release) = &self.release {
            // Resolves a promise; that cannot fail.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Waits for this tab's turn.
pub(super) async fn acquire() -> Turn {
    while TAKEN.replace(true) {
        browser::sleep(Duration::from_millis(20)).await;
    }
    let Some(request) = Request::make() else {
        return Turn { release: None, _refused: None };
    };
    let release = JsFuture::from(request.granted).await.ok();
    Turn {
        release: release.and_then(|value| value.dyn_into().ok()),
        _refused: Some(request.refused),
    }
}

struct Request {
    /// Resolves to the function that gives the lock back, or to nothing where it is not to be had.
    granted: Promise,
    refused: Closure<dyn FnMut(JsValue)>,
}

impl Request {
    /// Asks for the lock. `None` where the API is missing.
    fn make() -> Option<Self> {
        let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
        let request: Function = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
        let options = Object::new();
        let signal = AbortSignal::timeout_with_u32(PATIENCE_MS);
        Reflect::set(&options, &"signal".into(), &signal).ok()?;

        let mut resolve = None;
        let granted = Promise::new(&mut |granted, _| resolve = Some(granted));
        let grant = resolve?;
        let give_up = grant.clone();
        // The lock is held until the promise that this returns resolves.
        let hold = Closure::once_into_js(move |_lock: JsValue| {
            Promise::new(&mut |release, _| {
                let _ = grant.call1(&JsValue::UNDEFINED, &release);
            })
        });
        let refused = Closure::new(move |_reason: JsValue| {
            let _ = give_up.call0(&JsValue::UNDEFINED);
        });
        let arguments = Array::of3(&NAME.into(), &options, &hold);
        let asked: Promise = request.apply(&locks, &arguments).ok()?.dyn_into().ok()?;
        let _ = asked.catch(&refused);
        Some(Self { granted, refused })
    }
}
