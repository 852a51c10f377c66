//! What people bring to a page: a theme they prefer, a screen of some width, a keyboard and
//! nothing else, a screen reader.

use serde_json::{Value, json};
use thirtyfour::Key;

use super::Page;

/// The rules: WCAG 2.2 up to AA, and what axe calls best practice.
const AXE: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        ({ violations }) => done(violations.map(({ id, help, nodes }) =>
            `${id}: ${help}: ${nodes.map(node => node.html).join(' | ')}`)),
        error => done([String(error)]));
";

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

    /// Gives the page a screen this wide and high, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Cuts the page off the network, or joins it again.
    pub async fn go_offline(&self, offline: bool) {
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
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
