//! The browser of the tests, and the program that drives it.

use std::path::PathBuf;

use crate::process::which;

/// Chromium (or Chrome) and its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Browser {
    /// The browser.
    pub(crate) chromium: PathBuf,
    /// `chromedriver`, of the same version.
    pub(crate) driver: PathBuf,
}

impl Browser {
    /// Those that CHROMIUM and CHROMEDRIVER name, or that PATH has.
    #[must_use]
    pub(crate) fn find() -> Option<Self> {
        /// Linux's names, then where macOS keeps applications.
        const NAMES: [&str; 4] =
            ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        const APPLICATIONS: [&str; 2] = [
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ];
        let chromium = named("CHROMIUM")
            .or_else(|| NAMES.iter().find_map(|name| which(name)))
            .or_else(|| APPLICATIONS.iter().map(PathBuf::from).find(|file| file.is_file()))?;
        let driver = named("CHROMEDRIVER").or_else(|| which("chromedriver"))?;
        Some(Self { chromium, driver })
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|file| file.is_file())
}
