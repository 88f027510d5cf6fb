//! Any bytes as a document, from seeds in UBL.
#![no_main]

#[path = "document.rs"]
mod document;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| document::judge(bytes));
