//! What must hold of any bytes: no panic in any profile, and what is read can be written, read again and shown.

use muniment_invoices::{Limits, Options, Profile, Syntax, check, html, parse, read};

/// Judges, converts and shows.
pub fn judge(bytes: &[u8]) {
    for profile in [Profile::XRechnung, Profile::Peppol] {
        let options = Options { profile, ..Options::default() };
        if let Ok(report) = check(bytes, &options) {
            assert_eq!(report.valid, check(bytes, &Options { fragment: true, ..options }).is_ok_and(|other| other.valid));
        }
    }
    let Ok((invoice, _)) = parse(bytes, &Limits::DEFAULT) else { return };
    for text in [invoice.to_ubl(), invoice.to_cii()] {
        let document = read(text.as_bytes(), &Limits::DEFAULT).expect("what is written is XML");
        assert!(Syntax::of(&document).is_ok());
        assert!(parse(text.as_bytes(), &Limits::DEFAULT).is_ok());
    }
    assert!(!html(&invoice, Some(&invoice.number)).is_empty());
}
