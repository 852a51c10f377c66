//! The `Authorization` header: any bytes, in one line or several.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    users::fuzzing::authorization(&lines);
});
