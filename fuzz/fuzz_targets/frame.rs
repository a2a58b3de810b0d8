//! See `flowcore_simulator::fuzzing::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flowcore_simulator::fuzzing::frames(data));
