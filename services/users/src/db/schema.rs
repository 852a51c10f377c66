//! The tables, as diesel knows them. A test holds this file against the database.

diesel::table! {
    users (id) {
        id -> Int8,
        username -> Text,
        email -> Text,
        password_hash -> Nullable<Text>,
        active -> Bool,
        is_admin -> Bool,
        created_date -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Int8,
        user_id -> Int8,
        created_date -> Timestamptz,
        last_used_date -> Timestamptz,
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    refresh_tokens (token_hash) {
        token_hash -> Bytea,
        session_id -> Int8,
        used_date -> Nullable<Timestamptz>,
        sealed_successor -> Nullable<Bytea>,
    }
}

diesel::table! {
    throttle (key) {
        key -> Bytea,
        rest_date -> Timestamptz,
        refused -> Bool,
    }
}

diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(sessions -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(users, sessions, refresh_tokens);
