//! The newtypes' schemas for the OpenAPI document, from the constants that the rules use.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::{Email, Password, Username};

fn text(min: usize, max: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(min)).max_length(Some(max))
}

impl PartialSchema for Username {
    fn schema() -> RefOr<Schema> {
        text(Self::MIN, Self::MAX)
            .pattern(Some(Self::PATTERN))
            .description(Some("Unique ignoring case."))
            .examples(["michael"])
            .into()
    }
}
impl ToSchema for Username {}

impl PartialSchema for Email {
    fn schema() -> RefOr<Schema> {
        text(Self::MIN, Self::MAX)
            .pattern(Some(Self::PATTERN))
            .description(Some("Unique ignoring case; blanks around it are removed."))
            .examples(["michael@mherman.org"])
            .into()
    }
}
impl ToSchema for Email {}

impl PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        text(Self::MIN, Self::MAX)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .pattern(Some(r"^[^\u0000]*$"))
            .description(Some("Not one that is commonly used, and not the username or the email."))
            .into()
    }
}
impl ToSchema for Password {}
