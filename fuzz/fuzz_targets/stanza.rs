//! See `flowcore_simulator::fuzzing::stanza`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flowcore_simulator::fuzzing::stanza(data));
