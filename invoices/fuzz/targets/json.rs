//! Any bytes as the JSON form: what is made has exact amounts, and is the same when it is made again.
#![no_main]

use muniment_invoices::{Options, check, make, to_json};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(invoice) = make(bytes) else { return };
    let json = to_json(&invoice).expect("a model is JSON");
    assert_eq!(make(json.as_bytes()).expect("what was made can be made again"), invoice);
    for text in [invoice.to_ubl(), invoice.to_cii()] {
        check(text.as_bytes(), &Options::default()).expect("what was made can be read");
    }
});
