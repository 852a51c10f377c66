//! The documentation page and everything that it loads.

use contract::paths::{self, API_PATTERNS, is_api};
use tests::TestApp;

/// Quoted texts in `source` that begin with `start`.
fn quoted<'a>(source: &'a str, start: &str) -> Vec<&'a str> {
    source.split(['"', '\'', '`']).filter(|text| text.starts_with(start)).collect()
}

#[tokio::test]
async fn every_url_of_the_page_is_one_that_the_load_balancer_sends_here() {
    let app = TestApp::spawn().await;
    let page = app.get(paths::DOC).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let html = page.text();
    let loaded: Vec<_> = html
        .split(['\t', ' ', '\n', '>'])
        .filter_map(|part| part.strip_prefix("src=").or_else(|| part.strip_prefix("href=")))
        .map(|url| url.trim_matches(['"', '\'', '/']))
        .map(|url| format!("/{url}"))
        .collect();
    assert!(loaded.len() >= 4, "styles and scripts: {loaded:?}");
    for url in &loaded {
        assert!(!url.contains("://"), "{url} comes from elsewhere");
        assert!(is_api(url), "{url} matches none of {API_PATTERNS:?}");
        let asset = app.get(url).await;
        assert_eq!(asset.status, 200, "{url}");
        assert!(!asset.body.is_empty(), "{url}");
    }
}

#[tokio::test]
async fn the_page_reads_this_apis_document() {
    let app = TestApp::spawn().await;
    let initializer = app.get(format!("{}swagger-initializer.js", paths::DOC_ASSETS)).await;
    assert_eq!(initializer.status, 200);
    let source = initializer.text();
    let urls = [quoted(&source, "/"), quoted(&source, "http")].concat();
    assert_eq!(urls, [paths::OPENAPI], "the initializer loads the document and nothing else");
    assert!(!source.contains("petstore"));
}

#[tokio::test]
async fn assets_have_the_types_that_browsers_insist_on() {
    let app = TestApp::spawn().await;
    for (file, kind) in [
        ("swagger-ui.css", "text/css"),
        ("swagger-ui-bundle.js", "javascript"),
        ("swagger-initializer.js", "javascript"),
    ] {
        let asset = app.get(format!("{}{file}", paths::DOC_ASSETS)).await;
        let found = asset.expect_header("content-type");
        assert!(found.contains(kind), "{file}: {found}");
    }
    app.get(format!("{}nothing.js", paths::DOC_ASSETS)).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_page_runs_no_inline_script() {
    let app = TestApp::spawn().await;
    let page = app.get(paths::DOC).await;
    let policy = page.expect_header("content-security-policy");
    let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
    assert!(!scripts.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let html = page.text();
    for script in html.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.contains("src="), "{tag}");
        assert!(rest.trim_start().starts_with("</script>"), "{rest}");
    }
}
