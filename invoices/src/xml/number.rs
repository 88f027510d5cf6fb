//! Values as XPath 2.0 casts them. `None` is a text that the cast refuses; a rule that needs the value then fails.

use rust_decimal::Decimal;
use rust_decimal::prelude::FromStr;

use super::trim;

/// `xs:decimal`: digits, an optional sign and an optional point; no exponent.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut points = 0;
    let mut figures = 0;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => figures += 1,
            b'.' => points += 1,
            _ => return None,
        }
    }
    if figures == 0 || points > 1 {
        None
    } else {
        Decimal::from_str(text).ok()
    }
}

/// `xs:double`, as an untyped value becomes when it meets a number.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = trim(text);
    match text {
        "INF" => return Some(f64::INFINITY),
        "-INF" => return Some(f64::NEG_INFINITY),
        "NaN" => return Some(f64::NAN),
        _ => {}
    }
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    if plain { text.parse().ok() } else { None }
}

/// `xs:boolean`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match trim(text) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// `xs:date` as minutes of its start in UTC, so that dates compare as XPath compares them.
pub(crate) fn date(text: &str) -> Option<i64> {
    let text = trim(text);
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (day, zone) = rest.split_at_checked(10)?;
    let mut parts = day.split('-');
    let mut number = |length: usize| {
        let part = parts.next()?;
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let year = if negative { -year } else { year };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * 1440 - offset(zone)?)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.as_bytes() {
        [] | [b'Z'] => return Some(0),
        [b'+', ..] => (1, &zone[1..]),
        [b'-', ..] => (-1, &zone[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = digits(hours) && digits(minutes);
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (valid && hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// `round()`: halves go up, also below zero.
pub(crate) fn round(value: Decimal) -> Decimal {
    value
        .checked_add(Decimal::new(5, 1))
        .map_or(value, |value| value.floor())
}

/// `round(x * 10 * 10) div 100`.
pub(crate) fn round_cents(value: Decimal) -> Decimal {
    value
        .checked_mul(Decimal::ONE_HUNDRED)
        .map_or(value, |value| round(value) / Decimal::ONE_HUNDRED)
}

/// `xs:decimal(double)`: the binary value with all its digits, not the shortest decimal that looks like it.
pub(crate) fn retained(value: f64) -> Option<Decimal> {
    Decimal::from_f64_retain(value)
}

/// At most two characters after the first point, as the official rules count decimals.
pub(crate) fn two_decimals(text: &str) -> bool {
    let decimals = memchr::memchr(b'.', text.as_bytes()).map(|point| &text[point + 1..]);
    decimals.is_none_or(|decimals| decimals.len() <= 2 || decimals.chars().count() <= 2)
}
