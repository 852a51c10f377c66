//! The query of a list of users: its limit, the beginning of a name, and the cursor.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| users::fuzzing::page(query));
