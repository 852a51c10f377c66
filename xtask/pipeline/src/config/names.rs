//! The rules that AWS has for names, so that a name that cannot work is found before anything
//! begins.

/// A rule, and whether a name keeps it.
pub(crate) type Rule = (&'static str, fn(&str) -> bool);

/// For what all other names derive from: it has to suit the strictest of them.
pub(crate) const NAME: Rule =
    ("lower-case letters, digits and single hyphens, at most 40 characters", is_name);
/// For a registry's host.
pub(crate) const HOST: Rule =
    ("a host name with its port, without https:// and without a path", is_host);
/// For a repository.
pub(crate) const REPOSITORY: Rule =
    ("a repository's name has lower-case letters, digits and . _ - /", is_repository);
/// For clusters, services, families and containers.
pub(crate) const ECS: Rule = ("letters, digits, _ and -, at most 255 characters", |name| {
    is_made_of(name, 255, "_-") && !name.starts_with('-')
});
/// For load balancers and target groups.
pub(crate) const LOAD_BALANCER: Rule =
    ("letters, digits and -, at most 32 characters, no hyphen first or last", |name| {
        is_made_of(name, 32, "-") && !name.starts_with('-') && !name.ends_with('-')
    });
/// For roles.
pub(crate) const ROLE: Rule =
    ("letters, digits and + = , . @ _ -, at most 64 characters", |name| {
        is_made_of(name, 64, "+=,.@_-")
    });
/// For stacks.
pub(crate) const STACK: Rule =
    ("letters, digits and -, a letter first, at most 128 characters", |name| {
        is_made_of(name, 128, "-") && name.starts_with(|c: char| c.is_ascii_alphabetic())
    });
/// For buckets.
pub(crate) const BUCKET: Rule =
    ("lower-case letters, digits, . and -, 3 to 63 characters", |name| {
        name.len() >= 3
            && is_made_of(name, 63, ".-")
            && !name.contains(|c: char| c.is_ascii_uppercase())
    });
/// For log groups.
pub(crate) const LOG_GROUP: Rule =
    ("letters, digits and _ - / . #, at most 512 characters", |name| {
        is_made_of(name, 512, "_-/.#")
    });
/// For databases.
pub(crate) const DATABASE: Rule =
    ("letters, digits and _, a letter first, at most 63 characters", |name| {
        is_made_of(name, 63, "_") && name.starts_with(|c: char| c.is_ascii_alphabetic())
    });
/// For the application's address.
pub(crate) const URL: Rule = ("http:// or https:// with a host, and no query", |url| {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#' | '@'))
    })
});
/// For what placeholders are called.
pub(crate) const PLACEHOLDER: Rule =
    ("a placeholder's name has capital letters, digits and _, a letter first", |name| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    });

fn is_made_of(name: &str, at_most: usize, others: &str) -> bool {
    !name.is_empty()
        && name.len() <= at_most
        && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(allowed)
}

fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    !host.is_empty() && host.chars().all(allowed)
}

fn is_repository(name: &str) -> bool {
    let allowed = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/')
    };
    !name.is_empty() && !name.starts_with('/') && !name.ends_with('/') && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_takes_what_aws_takes_and_refuses_what_it_refuses() {
        let cases: [(Rule, &[&str], &[&str]); 8] = [
            (ECS, &["a", "Flask_react-1"], &["", "a b", "a.b", "-a"]),
            (LOAD_BALANCER, &["flask-react-alb"], &["a_b", "-a", "a-", &"a".repeat(33)]),
            (BUCKET, &["a.b-c"], &["ab", "ABC", "a_b"]),
            (LOG_GROUP, &["/ecs/a.b#c"], &["a b", ""]),
            (DATABASE, &["users_prod"], &["1a", "a-b", ""]),
            (URL, &["https://a.b", "http://127.0.0.1:4566/_alb/x"], &["a.b", "http://", "ftp://a"]),
            (PLACEHOLDER, &["AWS_ACCOUNT_ID", "A1"], &["a", "_A", "A-B", ""]),
            (STACK, &["test-driven"], &["1a", "a_b"]),
        ];
        for ((rule, keeps), good, bad) in cases {
            good.iter().for_each(|name| assert!(keeps(name), "{name}: {rule}"));
            bad.iter().for_each(|name| assert!(!keeps(name), "{name}: {rule}"));
        }
        assert!(!(URL.1)("https://ada:hunter2@a.b"), "no password in an address");
    }
}
