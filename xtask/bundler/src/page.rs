//! The page that loads the application: `index.html` with the head filled in.

use anyhow::{Result, bail};

/// Where the head's own lines go in the client's `index.html`.
const PLACE: &str = "<!-- head -->";

/// The files that the page names, as paths on the site.
#[derive(Debug)]
pub(crate) struct Names {
    /// The module that starts the application.
    pub(crate) boot: String,
    /// The module that wasm-bindgen made.
    pub(crate) script: String,
    /// The application.
    pub(crate) wasm: String,
    /// The styles, if the client has any.
    pub(crate) styles: Option<String>,
}

/// The script that loads the page again after a build, and the build's id.
#[derive(Debug)]
pub(crate) struct Reload<'a> {
    /// Its path on the site.
    pub(crate) script: &'a str,
    /// The id that the page carries.
    pub(crate) build_id: &'a str,
}

/// Fills in the head. Everything is a file of the site, since a content security policy that
/// deserves the name allows no inline script; and everything is announced at once, so that a
/// browser need not first read one file to learn of the next.
///
/// # Errors
/// The page has no place for it, or more than one.
pub(crate) fn complete(page: &str, names: &Names, reload: Option<&Reload<'_>>) -> Result<String> {
    if page.matches(PLACE).count() != 1 {
        bail!("index.html must contain `{PLACE}` exactly once");
    }
    let Names { boot, script, wasm, styles } = names;
    let mut lines = Vec::new();
    if let Some(styles) = styles {
        lines.push(format!(r#"<link rel="stylesheet" href="{styles}">"#));
    }
    lines.push(format!(r#"<link rel="modulepreload" href="{script}">"#));
    lines.push(format!(
        r#"<link rel="preload" href="{wasm}" as="fetch" type="application/wasm" crossorigin>"#
    ));
    lines.push(format!(r#"<script type="module" src="{boot}"></script>"#));
    if let Some(Reload { script, build_id }) = reload {
        lines.push(format!(r#"<meta name="build-id" content="{build_id}">"#));
        lines.push(format!(r#"<script type="module" src="{script}"></script>"#));
    }
    let indent = indentation(page);
    Ok(page.replace(PLACE, &lines.join(&format!("\n{indent}"))))
}

/// What stands before the place on its line.
fn indentation(page: &str) -> &str {
    let before = page.split(PLACE).next().unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    if line.trim().is_empty() { line } else { "" }
}

/// The module that starts the application. Where that fails, the page's root element gets the
/// attribute `data-failed`, and the page can say so; the cause goes to the console.
#[must_use]
pub(crate) fn boot(script: &str, wasm: &str) -> String {
    format!(
        "try {{\n  const {{ default: init }} = await import(\"{script}\");\n  await init({{ module_or_path: \
         \"{wasm}\" }});\n}} catch (error) {{\n  document.documentElement.dataset.failed = \"\";\n  \
         throw error;\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            boot: "/assets/boot-1.js".to_owned(),
            script: "/assets/client-2.js".to_owned(),
            wasm: "/assets/client-3.wasm".to_owned(),
            styles: Some("/assets/styles-4.css".to_owned()),
        }
    }

    #[test]
    fn the_head_names_every_file_and_no_inline_script() {
        let page = complete("<head>\n    <!-- head -->\n  </head>", &names(), None).unwrap();
        assert_eq!(
            page,
            r#"<head>
    <link rel="stylesheet" href="/assets/styles-4.css">
    <link rel="modulepreload" href="/assets/client-2.js">
    <link rel="preload" href="/assets/client-3.wasm" as="fetch" type="application/wasm" crossorigin>
    <script type="module" src="/assets/boot-1.js"></script>
  </head>"#
        );
    }

    #[test]
    fn only_development_pages_reload() {
        let reload = Reload { script: "/reload.js", build_id: "7" };
        let page = complete("<!-- head -->", &names(), Some(&reload)).unwrap();
        assert!(page.contains(r#"<meta name="build-id" content="7">"#));
        assert!(page.contains(r#"src="/reload.js""#));
    }

    #[test]
    fn a_page_without_a_place_is_refused() {
        let error = complete("<head></head>", &names(), None).unwrap_err().to_string();
        assert!(error.contains("<!-- head -->"), "{error}");
        assert!(complete("<!-- head --><!-- head -->", &names(), None).is_err());
    }

    #[test]
    fn boot_waits_for_the_application() {
        let boot = boot("/a.js", "/a.wasm");
        assert!(boot.contains(r#"await import("/a.js")"#), "{boot}");
        assert!(boot.contains(r#"await init({ module_or_path: "/a.wasm" })"#), "{boot}");
        // A script or module that is missing must not leave the page waiting.
        assert!(boot.starts_with("try {") && boot.contains("dataset.failed"), "{boot}");
    }
}
