//! Forms: what was typed, what is wrong with it, and whether it is being sent.
//!
//! The rules are `contract`'s, so that the browser refuses what the API would. An
//! error shows once its field was left, or the form was sent, and goes as soon as
//! the text is mended. What only the API can know (that an address is taken) stays
//! beside its field for as long as the text is the one that was refused.

mod field;
mod frame;

use std::pin::Pin;

use contract::{FieldError, Form, form::Input};
use leptos::{html, prelude::*, task::spawn_local};

pub(crate) use self::{
    field::{Kind, TextField},
    frame::FormFrame,
};
use crate::{
    api::{Error, Result},
    messages::Messages,
};

/// Begins to send what was typed; nothing where that breaks a rule.
type Start = dyn Fn(Form) -> Option<Pin<Box<dyn Future<Output = Result<()>>>>> + Send + Sync;

/// One field of a form.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    value: RwSignal<String>,
    /// Whether something was typed and the field was left.
    left: RwSignal<bool>,
    /// The text that the API refused, and what it said.
    refused: RwSignal<Option<(String, String)>>,
    input: NodeRef<html::Input>,
}

/// A form's state. A handle: copies are the same form.
#[derive(Clone, Copy)]
pub(crate) struct FormState {
    fields: StoredValue<Vec<Field>>,
    /// What breaks the rules, shown or not yet.
    violations: Memo<Vec<FieldError>>,
    /// Whether the person has tried to send the form.
    tried: RwSignal<bool>,
    busy: RwSignal<bool>,
    /// Why the form as a whole was refused.
    problem: RwSignal<Option<String>>,
}

impl FormState {
    /// A form for `T`, whose fields are called `names`.
    pub(crate) fn new<T: Input>(names: &[&'static str]) -> Self {
        let field = |&name: &&'static str| Field {
            name,
            value: RwSignal::default(),
            left: RwSignal::new(false),
            refused: RwSignal::new(None),
            input: NodeRef::new(),
        };
        let fields = StoredValue::new(names.iter().map(field).collect::<Vec<_>>());
        let violations = Memo::new(move |_| {
            let form = fields.with_value(|fields| {
                fields.iter().map(|field| (field.name, field.value.get())).collect::<Form>()
            });
            T::parse(form).err().unwrap_or_default()
        });
        Self {
            fields,
            violations,
            tried: RwSignal::new(false),
            busy: RwSignal::new(false),
            problem: RwSignal::new(None),
        }
    }

    /// The form with `text` typed in the field `name` already.
    pub(crate) fn with(self, name: &str, text: &str) -> Self {
        if let Some(field) = self.field(name) {
            field.value.set(text.to_owned());
        }
        self
    }

    /// What is typed in the field `name`; not reactive.
    pub(crate) fn text(self, name: &str) -> String {
        self.field(name).map(|field| field.value.get_untracked()).unwrap_or_default()
    }

    /// Empties the form, after it was sent.
    pub(crate) fn reset(self) {
        // None are left where the page has gone meanwhile.
        for field in self.fields.try_get_value().unwrap_or_default() {
            field.value.set(String::new());
            field.left.set(false);
            field.refused.set(None);
        }
        self.tried.set(false);
    }

    fn field(self, name: &str) -> Option<Field> {
        self.fields.with_value(|fields| fields.iter().find(|field| field.name == name).copied())
    }

    /// What to say beside the field; reactive.
    fn error(self, field: Field) -> Option<String> {
        let value = field.value.get();
        if let Some((refused, message)) = field.refused.get()
            && refused == value
        {
            return Some(message);
        }
        if !self.tried.get() && !field.left.get() {
            return None;
        }
        self.violations.with(|all| {
            all.iter().find(|error| error.field == field.name).map(|error| error.message.clone())
        })
    }

    /// What [`FormFrame`] runs to send the form: `action`, once what was typed obeys the rules.
    pub(crate) fn sender<T, F>(
        self,
        action: impl Fn(T) -> F + Send + Sync + 'static,
    ) -> Callback<()>
    where
        T: Input,
        F: Future<Output = Result<()>> + 'static,
    {
        // One kind of sending for all forms: it would be compiled for each.
        let start: Box<Start> = Box::new(move |form| {
            let input = T::parse(form).ok()?;
            Some(Box::pin(action(input)))
        });
        let messages = expect_context::<Messages>();
        Callback::new(move |()| self.send(&start, messages))
    }

    /// Sends the form with `start`, unless it breaks a rule or is being sent already. A refusal that
    /// comes when the form has gone is one of the page's `messages`.
    fn send(self, start: &Start, messages: Messages) {
        if self.busy.get_untracked() {
            return;
        }
        let fields = self.fields.get_value();
        for field in &fields {
            // What a password manager filled in may not have been announced by an event.
            if let Some(input) = field.input.get_untracked()
                && input.value() != field.value.get_untracked()
            {
                field.value.set(input.value());
            }
        }
        self.tried.set(true);
        self.problem.set(None);
        let typed = fields.iter().map(|field| (field.name, field.value.get_untracked()));
        let typed = typed.collect::<Vec<_>>();
        let Some(sending) = start(typed.iter().cloned().collect::<Form>()) else {
            return self.focus_first_error();
        };
        self.busy.set(true);
        spawn_local(async move {
            let outcome = sending.await;
            // The page may be another one by now, and the form gone with it.
            let has_gone = self.busy.try_set(false).is_some();
            match outcome {
                Err(error) if has_gone => messages.say_error(&error),
                Err(error) => self.refuse(&error, &typed),
                Ok(()) => {}
            }
        });
    }

    /// Shows why the API has refused what was `sent`.
    fn refuse(self, error: &Error, sent: &[(&'static str, String)]) {
        let mut elsewhere = Vec::new();
        for (name, message) in error.fields() {
            let text = sent.iter().find(|(of, _)| *of == name).map(|(_, text)| text.clone());
            match self.field(&name).zip(text) {
                // Unless another text has taken the place of the one that was refused.
                Some((field, text)) if field.value.with_untracked(|value| *value == text) => {
                    field.refused.set(Some((text, message)));
                }
                _ => elsewhere.push(message),
            }
        }
        if error.fields().is_empty() {
            elsewhere.push(error.to_string());
        }
        if elsewhere.is_empty() {
            self.focus_first_error();
        } else {
            self.problem.set(Some(elsewhere.join(" ")));
        }
    }

    fn focus_first_error(self) {
        let wrong = |field: &Field| untrack(|| self.error(*field)).is_some();
        let fields = self.fields.get_value();
        if let Some(field) = fields.into_iter().find(wrong)
            && let Some(input) = field.input.get_untracked()
        {
            // What has the focus already would not be read out again. Both fail only where the
            // element cannot have the focus; an input can.
            let _ = input.blur();
            let _ = input.focus();
        }
    }
}
