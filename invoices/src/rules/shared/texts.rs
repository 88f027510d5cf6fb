//! Forms of single texts: account numbers, telephone numbers, addresses of the net, cash discounts.

/// An IBAN without its white space: form and check digits.
pub(in crate::rules) fn is_iban(text: &str) -> bool {
    let iban: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '\t' | '\n' | '\r'))
        .collect();
    let bytes = iban.as_bytes();
    let form = (4..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..].iter().all(u8::is_ascii_alphanumeric);
    if !form {
        return false;
    }
    let letters = bytes[4..].iter().chain(&bytes[..4]);
    let rest = letters.fold(0_u32, |rest, letter| {
        let value = u32::from(*letter) - if *letter > 64 { 55 } else { 48 };
        if value > 9 {
            (rest * 100 + value) % 97
        } else {
            (rest * 10 + value) % 97
        }
    });
    rest == 1
}

/// At least three digits.
pub(in crate::rules) fn is_telephone(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 3
}

/// One `@` with something before it and a domain of at least two labels behind it.
pub(in crate::rules) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', ' ', '\t', '\n', '\r']);
    plain(local) && domain.contains('.') && domain.split('.').all(plain)
}

/// A scheme of at least two characters and a colon.
pub(in crate::rules) fn is_absolute_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() >= 2
            && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'))
    })
}

/// Cash discounts in payment terms: each line that starts with `#` is a whole statement, and a line break follows.
pub(in crate::rules) fn discounts_are_statements(notes: &[&str]) -> bool {
    let mut statements = notes
        .iter()
        .flat_map(|note| note.lines())
        .filter(|line| crate::xml::trim(line).starts_with('#'))
        .peekable();
    if statements.peek().is_none() {
        return true;
    }
    let ended = notes.len() == 1 && notes.first().is_some_and(|note| line_break_follows(note));
    ended && statements.all(|line| is_discount(&crate::xml::normalize(line)))
}

/// `#SKONTO#TAGE=14#PROZENT=2.00#BASISBETRAG=100.00#`, the base being optional.
fn is_discount(line: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let cents = |text: &str| {
        text.split_once('.')
            .is_some_and(|(whole, rest)| digits(whole) && digits(rest) && rest.len() == 2)
    };
    let Some(segments) = line.strip_prefix("#SKONTO#").and_then(|line| line.strip_suffix('#')) else {
        return false;
    };
    let mut segments = segments.split('#');
    let days = segments
        .next()
        .and_then(|segment| segment.strip_prefix("TAGE="))
        .is_some_and(digits);
    let percent = segments
        .next()
        .and_then(|segment| segment.strip_prefix("PROZENT="))
        .is_some_and(cents);
    let base = segments.next().is_none_or(|segment| {
        segment
            .strip_prefix("BASISBETRAG=")
            .is_some_and(|base| cents(base.strip_prefix('-').unwrap_or(base)))
    });
    days && percent && base && segments.next().is_none()
}

/// What follows the last `#…#` starts with white space that holds a line break.
fn line_break_follows(note: &str) -> bool {
    let mut tail = note;
    let mut at = 0;
    for line in note.split_inclusive('\n') {
        let (first, last) = (line.find('#'), line.rfind('#'));
        if let (Some(first), Some(last)) = (first, last)
            && last > first + 1
        {
            tail = &note[at + last + 1..];
        }
        at += line.len();
    }
    let space = tail.len() - tail.trim_start_matches([' ', '\t', '\n', '\r']).len();
    tail[..space].contains('\n')
}
