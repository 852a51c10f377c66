//! The API's paths, and which paths a load balancer sends to the API.

/// Answers without touching the database.
pub const PING: &str = "/ping";
/// All users.
pub const USERS: &str = "/users";
/// One user, as a route's pattern.
pub const USER: &str = "/users/{id}";
/// Sign up.
pub const REGISTER: &str = "/auth/register";
/// Sign in.
pub const LOGIN: &str = "/auth/login";
/// Exchange a refresh token.
pub const REFRESH: &str = "/auth/refresh";
/// Who is signed in.
pub const STATUS: &str = "/auth/status";
/// Sign out.
pub const LOGOUT: &str = "/auth/logout";
/// Change the password.
pub const PASSWORD: &str = "/auth/password";
/// The caller's sessions.
pub const SESSIONS: &str = "/auth/sessions";
/// One of the caller's sessions, as a route's pattern.
pub const SESSION: &str = "/auth/sessions/{id}";
/// The documentation page.
pub const DOC: &str = "/doc";
/// Where the documentation page's assets lie.
pub const DOC_ASSETS: &str = "/swaggerui/";
/// The OpenAPI document.
pub const OPENAPI: &str = "/swagger.json";

/// The path of one user.
pub fn user(id: i64) -> String {
    format!("{USERS}/{id}")
}

/// The path of one session.
pub fn session(id: i64) -> String {
    format!("{SESSIONS}/{id}")
}

/// The path patterns that the load balancer sends to the API; all else is the client's.
/// `*` stands for any characters, as in a listener rule of AWS.
pub const API_PATTERNS: [&str; 5] = ["/users*", "/auth*", "/ping", "/doc", "/swagger*"];

/// The pages of the client. None of them may match [`API_PATTERNS`].
pub const PAGES: [&str; 5] = ["/", "/about", "/register", "/login", "/status"];

/// Whether the load balancer sends `path` to the API.
pub fn is_api(path: &str) -> bool {
    API_PATTERNS.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_balancer_reaches_every_operation_and_no_page() {
        for path in [
            PING, USERS, USER, REGISTER, LOGIN, REFRESH, STATUS, LOGOUT, PASSWORD, SESSIONS,
            SESSION, DOC, DOC_ASSETS, OPENAPI,
        ] {
            assert!(is_api(path), "{path}");
        }
        for page in PAGES {
            assert!(!is_api(page), "{page}");
        }
        assert!(!is_api("/docs"));
        assert!(!is_api("/ping/pong"));
    }

    #[test]
    fn paths_of_single_things() {
        assert_eq!(user(7), "/users/7");
        assert_eq!(session(9), "/auth/sessions/9");
    }
}
