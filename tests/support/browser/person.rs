//! What people bring to a page: a theme they prefer, a screen of some width, a keyboard and
//! nothing else, a screen reader.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thirtyfour::Key;

use super::{PATIENCE, POLL, Page};

/// A picture of a longer page shows its beginning, in CSS pixels.
const TALLEST: u32 = 2400;

/// The rules: WCAG 2.2 up to AA, and what axe calls best practice.
const AXE: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        ({ violations }) => done(violations.map(({ id, help, nodes }) =>
            `${id}: ${help}: ${nodes.map(node => node.html).join(' | ')}`)),
        error => done([String(error)]));
";

/// Has a page's requests wait for as long as the test holds them back.
const HOLD: &str = "{
    const fetch = window.fetch;
    const is_held = (url, init) => localStorage.held === 'changes'
        ? init.method !== 'GET' : localStorage.held === new URL(url, location).pathname;
    window.fetch = async (url, init) => {
        while (is_held(url, init)) await new Promise(done => setTimeout(done, 20));
        return fetch(url, init);
    };
}";

/// Notes when the page hears something of another tab. What listens longer than this hears it first.
const LISTEN: &str = "{
    delete document.documentElement.dataset.heard;
    const channel = new BroadcastChannel('session');
    channel.onmessage = () => {
        document.documentElement.dataset.heard = '';
        channel.close();
    };
}";

/// A place in the window, in CSS pixels from its upper left corner.
#[derive(Clone, Copy, Debug)]
pub struct Place(f64, f64);

/// What a network is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// How much later every answer comes.
    pub latency: Duration,
    /// Bytes per second towards the page; 0 for as many as there are.
    pub down: u32,
    /// Bytes per second from the page; 0 for as many as there are.
    pub up: u32,
}

impl Page {
    /// Shows the page as to somebody who prefers this theme, `light` or `dark`.
    pub async fn prefer(&self, theme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme },
            // A colour on its way to another has neither's contrast.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Shows the pages to come as to somebody who reads this language.
    pub async fn speak(&self, language: &str) {
        let script = format!(
            "Object.defineProperty(Navigator.prototype, 'language', {{ get: () => '{language}' }})"
        );
        self.before_each_page(&script).await;
    }

    /// Gives the page a screen this wide and high, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Gives the page its whole height on a screen this wide, and keeps a picture of it.
    pub async fn picture(&self, width: u32, file: &Path) {
        self.resize(width, 800).await;
        let height = self.run("return document.documentElement.scrollHeight").await;
        let height = height.as_u64().and_then(|height| u32::try_from(height).ok()).unwrap();
        self.resize(width, height.min(TALLEST)).await;
        self.browser.screenshot(file).await.unwrap();
    }

    /// Cuts the page off the network, or joins it again.
    pub async fn go_offline(&self, offline: bool) {
        self.network(offline, Network::default()).await;
    }

    /// Has every answer of the network come this much later.
    pub async fn slow_down(&self, latency: Duration) {
        self.limit_network(Network { latency, ..Network::default() }).await;
    }

    /// Gives the page a network like this.
    pub async fn limit_network(&self, network: Network) {
        self.network(false, network).await;
    }

    async fn network(&self, offline: bool, network: Network) {
        // To the browser -1 means without a limit.
        let limit = |bytes: u32| if bytes == 0 { json!(-1) } else { json!(bytes) };
        let conditions = json!({
            "offline": offline,
            "latency": network.latency.as_millis(),
            "downloadThroughput": limit(network.down),
            "uploadThroughput": limit(network.up),
        });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Gives the page a processor so many times slower.
    pub async fn slow_processor(&self, times: u32) {
        self.devtools("Emulation.setCPUThrottlingRate", json!({ "rate": times })).await;
    }

    /// Has every page loaded anew.
    pub async fn without_cache(&self) {
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.setCacheDisabled", json!({ "cacheDisabled": true })).await;
    }

    /// Runs a script in each page from now on, before those of the page.
    pub async fn before_each_page(&self, script: &str) {
        self.devtools("Page.enable", json!({})).await;
        let script = json!({ "source": script });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", script).await;
    }

    /// Has `how` answer requests to `path`, on this page and those to come: a function of JavaScript
    /// that is given another one, which sends the request.
    pub async fn answer(&self, path: &str, how: &str) {
        let script = format!(
            "{{ const fetch = window.fetch;
                window.fetch = (url, init) => new URL(url, location).pathname === '{path}'
                    ? ({how})(() => fetch(url, init)) : fetch(url, init); }}"
        );
        self.before_each_page(&script).await;
        // Through the debugger: a driver's script runs in a world of its own.
        self.devtools("Runtime.evaluate", json!({ "expression": script })).await;
    }

    /// Keeps back what this page and those to come send to change something, until [`Self::let_go`]. A
    /// page waits for an answer for 20 s.
    pub async fn hold(&self) {
        self.hold_those("changes").await;
    }

    /// Like [`Self::hold`], for all that is sent to `path`.
    pub async fn hold_path(&self, path: &str) {
        self.hold_those(path).await;
    }

    async fn hold_those(&self, held: &str) {
        self.before_each_page(HOLD).await;
        // Through the debugger: a driver's script runs in a world of its own.
        self.devtools("Runtime.evaluate", json!({ "expression": HOLD })).await;
        self.run(&format!("localStorage.held = '{held}'")).await;
    }

    /// Sends what is kept back.
    pub async fn let_go(&self) {
        self.run("delete localStorage.held").await;
    }

    /// Tells the page what another tab would, as JSON, and waits until it has heard it.
    pub async fn hear(&self, news: &Value) {
        // Through the debugger: a driver's script runs in a world of its own.
        self.devtools("Runtime.evaluate", json!({ "expression": LISTEN })).await;
        let news = Value::from(news.to_string());
        self.run(&format!("new BroadcastChannel('session').postMessage({news})")).await;
        self.until("the page has heard it", async || {
            self.run("return 'heard' in document.documentElement.dataset").await == true
        })
        .await;
    }

    /// Clicks twice in a row, as impatient people do.
    pub async fn double_click(&self, css: &str) {
        let place = self.first_click(css).await;
        self.second_click(place).await;
    }

    /// The first of two quick clicks, on what the selector finds; where it was.
    pub async fn first_click(&self, css: &str) -> Place {
        let script = format!(
            "const element = document.querySelector({});
             if (!element) return null;
             element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
             const {{ x, y, width, height }} = element.getBoundingClientRect();
             const place = [x + width / 2, y + height / 2];
             return element.contains(document.elementFromPoint(...place)) ? place : null;",
            Value::from(css)
        );
        let (start, mut before) = (Instant::now(), Value::Null);
        loop {
            let found = self.run(&script).await;
            // Once it stands still.
            if found == before
                && let Ok((x, y)) = serde_json::from_value(found.clone())
            {
                let place = Place(x, y);
                self.mouse("mouseMoved", place, 0).await;
                self.press_at(place, 1).await;
                return place;
            }
            assert!(start.elapsed() < PATIENCE, "{css} can't be clicked");
            before = found;
            tokio::time::sleep(POLL).await;
        }
    }

    /// The second of two quick clicks, on whatever is there by now. That it was quick is what the page
    /// is told, however much time has passed.
    pub async fn second_click(&self, place: Place) {
        self.press_at(place, 2).await;
    }

    async fn press_at(&self, place: Place, count: u8) {
        self.mouse("mousePressed", place, count).await;
        self.mouse("mouseReleased", place, count).await;
    }

    async fn mouse(&self, what: &str, Place(x, y): Place, count: u8) {
        let button = if count == 0 { "none" } else { "left" };
        let event = json!({ "type": what, "x": x, "y": y, "button": button, "clickCount": count });
        self.devtools("Input.dispatchMouseEvent", event).await;
    }

    /// Puts the device's clock forward, as the page reads it.
    pub async fn let_pass(&self, time: Duration) {
        let script = format!(
            "{{ const now = Date.now; Date.now = () => now.call(Date) + {}; }}",
            time.as_millis()
        );
        // Through the debugger: a driver's script runs in a world of its own.
        self.devtools("Runtime.evaluate", json!({ "expression": script })).await;
    }

    /// Asserts that axe-core finds no fault with what is shown.
    pub async fn is_accessible(&self, what: &str) {
        let script = std::env::var("AXE_SCRIPT").unwrap_or_else(|_| {
            panic!("AXE_SCRIPT names no axe.min.js: run `cargo xtask test`, which fetches it")
        });
        let script = std::fs::read_to_string(script).unwrap();
        // Through the debugger: the page's content security policy rightly refuses it.
        self.devtools("Runtime.evaluate", json!({ "expression": script })).await;
        let found = self.browser.execute_async(AXE, Vec::new()).await.unwrap();
        let found: Vec<String> = serde_json::from_value(found.json().clone()).unwrap();
        assert!(found.is_empty(), "{what}: axe finds {found:#?}");
    }

    /// Presses keys, wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        self.browser.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses Tab until the selector finds what has the focus.
    pub async fn tab_to(&self, css: &str) {
        for _ in 0..60 {
            self.browser.action_chain().send_keys(Key::Tab).perform().await.unwrap();
            if self.has_focus(css).await {
                return;
            }
        }
        panic!("Tab does not lead to {css}");
    }

    /// Whether the selector finds what has the focus.
    pub async fn has_focus(&self, css: &str) -> bool {
        let css = Value::from(css).to_string();
        self.run(&format!("return document.activeElement.matches({css})")).await == true
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.browser.cdp().send_raw(command, parameters).await.unwrap();
    }
}
