//! Any bytes as a metrics page: no panic, no hang, and what is kept is consistent.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/promtext/tests/check/mod.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| check::any_bytes(bytes));
