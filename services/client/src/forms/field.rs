//! A text field: label, hint, input and error, tied together for screen readers.

use contract::Strength;
use leptos::{ev, prelude::*};

use super::FormState;
use crate::components::{flag, text, word};

/// What is typed in a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Email,
    Password,
}

/// The field `name` of `form`.
#[component]
pub(crate) fn TextField(
    form: FormState,
    name: &'static str,
    label: &'static str,
    kind: Kind,
    /// What a password manager is to fill in: a token of HTML's `autocomplete`.
    autocomplete: &'static str,
    /// The rule, before it is broken.
    #[prop(optional, into)]
    hint: String,
    /// Whether to say how good a password is, while it is typed.
    #[prop(optional)]
    strength: bool,
) -> impl IntoView {
    let field = form.field(name)?;
    let (hint_id, error_id) = (format!("{name}-hint"), format!("{name}-error"));
    let described_by = format!("{hint_id} {error_id}");
    let error = Memo::new(move |_| form.error(field));
    let shown = RwSignal::new(false);

    let on_input = move |event: ev::Event| {
        field.value.set(event_target_value(&event));
        form.problem.set(None);
    };
    // Who only passes through an empty field has done nothing wrong yet.
    let on_blur = move |_| {
        // A field that is taken away with its page loses the focus, too: its state is gone by then.
        if field.value.try_with_untracked(String::is_empty) == Some(false) {
            let _ = field.left.try_set(true);
        }
    };
    let reveal = word(move || if shown.get() { "Hide" } else { "Show" });
    let is_password = kind == Kind::Password;
    let input_type = word(move || match kind {
        Kind::Password if !shown.get() => "password",
        Kind::Email => "email",
        Kind::Text | Kind::Password => "text",
    });

    let view = view! {
        <div class="field">
            <label for=name>{label}</label>
            <div class="control">
                <input
                    id=name
                    name=name
                    node_ref=field.input
                    type=input_type
                    autocomplete=autocomplete
                    autocapitalize="none"
                    spellcheck="false"
                    required
                    aria-describedby=described_by
                    aria-invalid=flag(move || error.with(Option::is_some))
                    prop:value=field.value
                    on:input=on_input
                    on:blur=on_blur
                />
                {is_password
                    .then(|| {
                        view! {
                            <button
                                type="button"
                                class="quiet reveal"
                                aria-controls=name
                                aria-label=text(move || {
                                    format!("{} {}", reveal.get(), label.to_ascii_lowercase())
                                })
                                on:click=move |_| shown.update(|shown| *shown = !*shown)
                            >
                                {reveal}
                            </button>
                        }
                    })}
            </div>
            <p class="hint" id=hint_id>
                {hint}
            </p>
            {strength.then(|| meter(field.value, error))}
            <p class="error" id=error_id>
                {text(move || error.get().unwrap_or_default())}
            </p>
        </div>
    };
    Some(view.into_any())
}

/// How good the password is that is being typed: a bar, and the same in words. One with an `error`
/// is not good, whatever it looks like by itself.
fn meter(value: RwSignal<String>, error: Memo<Option<String>>) -> AnyView {
    let strength = Memo::new(move |_| match value.with(|text| Strength::of(text)) {
        Strength::Fair | Strength::Strong if error.with(Option::is_some) => Strength::Refused,
        strength => strength,
    });
    let level = word(move || match strength.get() {
        _ if value.with(String::is_empty) => "none",
        Strength::Short(_) => "short",
        Strength::Refused => "refused",
        Strength::Fair => "fair",
        Strength::Strong => "strong",
    });
    let words = text(move || match strength.get() {
        _ if value.with(String::is_empty) => String::new(),
        Strength::Short(1) => "1 more character".to_owned(),
        Strength::Short(missing) => format!("{missing} more characters"),
        Strength::Refused => "Not usable".to_owned(),
        Strength::Fair => "Good".to_owned(),
        Strength::Strong => "Very good".to_owned(),
    });
    view! {
        <div class="strength" data-level=level data-testid="strength">
            <span class="meter" aria-hidden="true"></span>
            <span role="status">{words}</span>
        </div>
    }
    .into_any()
}
