//! The documentation page: "Authorize", then "Try it out"; and that each operation leads to the API.

use serde_json::{Value, json};
use tests::{PASSWORD, browser::visit};

#[tokio::test]
async fn an_operation_can_be_tried_after_authorize() {
    visit("doc_try_it_out", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let tokens = visit.api.post("/auth/login").json(body).await.ok(200);
        let token = tokens["access_token"].as_str().unwrap();

        let page = &visit.page;
        page.open("/doc").await;
        let operation = ".opblock:has(.opblock-summary-path[data-path='/auth/status'])";
        page.click(&format!("{operation} .opblock-summary-control")).await;
        page.click(&format!("{operation} .try-out__btn")).await;
        page.click(&format!("{operation} .execute")).await;
        let answer = format!("{operation} .live-responses-table .response .response-col_status");
        page.until("401 without a token", async || page.text_of(&answer).await.contains("401"))
            .await;

        page.click(".auth-wrapper .authorize").await;
        page.type_into(".auth-container input", token).await;
        page.click(".auth-btn-wrapper .authorize").await;
        page.click(".auth-btn-wrapper .btn-done").await;
        page.click(&format!("{operation} .execute")).await;
        page.until("200 with a token", async || page.text_of(&answer).await.contains("200")).await;
        page.sees("michael@example.com").await;
    })
    .await;
}

/// Asks for each operation of the document, as a guest, and gives its name and the request's id: the
/// API gives each of its answers one, and what serves the pages gives none.
const ASK_FOR_ALL: &str = r#"
    const ask = (method, path) => {
        const request = new XMLHttpRequest();
        request.open(method, path, false);
        request.setRequestHeader("content-type", "application/json");
        request.send(method === "get" ? null : "{}");
        return request;
    };
    const { paths } = JSON.parse(ask("get", "/swagger.json").responseText);
    const methods = ["get", "post", "put", "patch", "delete"];
    return Object.entries(paths).flatMap(([path, operations]) =>
        methods.filter((method) => method in operations).map((method) => [
            `${method} ${path}`,
            ask(method, path.replace(/\{\w+\}/g, "1")).getResponseHeader("x-request-id"),
        ]));
"#;

#[tokio::test]
async fn every_operation_leads_to_the_api() {
    visit("doc_operations", |visit| async move {
        visit.page.open("/doc").await;
        let asked = visit.page.run(ASK_FOR_ALL).await;
        let asked = asked.as_array().unwrap();
        for known in ["get /ping", "get /users/{id}", "delete /auth/sessions/{id}"] {
            assert!(asked.iter().any(|row| row[0] == known), "{known}: {asked:?}");
        }
        let others: Vec<&Value> = asked.iter().filter(|row| row[1].is_null()).collect();
        assert!(others.is_empty(), "not answered by the API: {others:?}");
    })
    .await;
}
