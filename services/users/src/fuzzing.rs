//! For the targets in `fuzz/`: what is private and reads what anybody may send. Not an API.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// Reads the query of a list; where it is accepted, its cursors lead back to where they were made.
pub fn page(query: &str) {
    crate::routes::users::list::fuzz(query);
}

/// Reads the lines of an `Authorization` header, as far as they can be lines of one.
pub fn authorization(lines: &[&[u8]]) {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    if let Ok(token) = crate::http::caller::token(&headers) {
        assert!(headers.len() == 1 && !token.starts_with(' '));
    }
}
