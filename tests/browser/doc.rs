//! The documentation page: "Authorize", then "Try it out".

use serde_json::json;
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
