//! The `Link` header (RFC 8288), as far as paging needs it.

/// The path and query of the link whose relation is `next`.
///
/// The origin is dropped: a proxy on the way may have told the API another one
/// than the browser knows.
pub(crate) fn next(header: &str) -> Option<String> {
    header.split('<').find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split_whitespace().any(|rel| rel == "next")
        });
        is_next.then(|| path(target).to_owned())
    })
}

fn path(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn finds_the_next_page() {
        for (header, expected) in [
            (r#"</users?limit=2&cursor=Mg>; rel="next""#, Some("/users?limit=2&cursor=Mg")),
            (r#"<http://10.0.0.7:5000/users?cursor=Mg>;rel=next"#, Some("/users?cursor=Mg")),
            (r#"</users>; rel="first", </users?cursor=Mg>; rel="next""#, Some("/users?cursor=Mg")),
            (r#"</users?cursor=Mg>; title="x"; rel="last next""#, Some("/users?cursor=Mg")),
            (r#"</users>; rel="first""#, None),
            ("", None),
            ("<>", None),
        ] {
            assert_eq!(next(header).as_deref(), expected, "{header}");
        }
    }
}
