//! Any text as a template: no panic, a place for each mistake, and the same answer every time.
#![no_main]

use muniment_ledger_fuzz::template::Template;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    match Template::check(source) {
        Ok(template) => {
            assert!(Template::compile(source).is_ok());
            assert!(!template.name.is_empty() && template.actions.iter().any(|action| action.creates));
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            // As YAML counts lines, a carriage return ends one, too.
            let lines = source.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64 + 1;
            for mistake in &mistakes {
                assert!(!mistake.message.is_empty());
                assert!(mistake.line.is_none_or(|line| line <= lines), "{mistake}");
            }
            assert_eq!(Template::check(source).err(), Some(mistakes));
        }
    }
});
