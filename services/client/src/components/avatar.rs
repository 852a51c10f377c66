//! A person's picture: the initials of their name on a colour of their own.

use leptos::prelude::*;

use super::text;

/// How many colours the style sheet has.
const COLOURS: u32 = 8;

/// Adorns a name that stands beside it, so screen readers pass over it.
#[component]
pub(crate) fn Avatar(#[prop(into)] name: Signal<String>) -> impl IntoView {
    let class = text(move || format!("avatar colour-{}", name.with(|name| colour(name))));
    view! {
        <span class=class aria-hidden="true">
            {text(move || name.with(|name| initials(name)))}
        </span>
    }
}

/// The first letters of a name's first two words; of `michael` the first letter alone.
fn initials(name: &str) -> String {
    let words = name.split(['.', '_', '-']).filter(|word| !word.is_empty());
    words.take(2).filter_map(|word| word.chars().next()).map(|c| c.to_ascii_uppercase()).collect()
}

/// The same for the same name, whatever its case.
fn colour(name: &str) -> u32 {
    let mix =
        |sum: u32, byte: u8| (sum ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, mix) % COLOURS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_the_first_two_words() {
        for (name, expected) in [
            ("michael", "M"),
            ("michael.herman", "MH"),
            ("a-b-c", "AB"),
            ("__x", "X"),
            ("7of9", "7"),
            ("...", ""),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_keeps_its_colour() {
        assert_eq!(colour("Michael"), colour("michael"));
        let names = ["michael", "admin", "jane", "john", "zoe", "ada", "grace", "linus"];
        let colours: std::collections::BTreeSet<_> =
            names.iter().map(|name| colour(name)).collect();
        assert!(colours.len() > 3, "{colours:?}");
    }
}
