//! What kpexec's end of a session may be sent: it ends by an Exit or an error, and neither writes nor
//! answers more than came.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kpexec::session::fuzzing::session(bytes));
