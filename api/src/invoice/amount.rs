//! Amounts between their two spellings: hundredths on the ledger, decimal text for people.

use rust_decimal::Decimal;

/// Largest amount the template takes, in hundredths.
const LARGEST: i64 = 1_000_000_000_000_000;

/// Hundredths of an amount; none when it has more than two decimals or is too large.
pub fn hundredths(amount: Decimal) -> Option<i64> {
    let scaled = amount.checked_mul(Decimal::ONE_HUNDRED)?;
    if scaled != scaled.trunc() {
        return None;
    }
    i64::try_from(scaled)
        .ok()
        .filter(|value| (-LARGEST..=LARGEST).contains(value))
}

/// Parts per million of a percentage; none when it has more than four decimals or is no rate.
pub fn millionths(percent: Decimal) -> Option<i64> {
    let scaled = percent.checked_mul(Decimal::from(10_000))?;
    if scaled != scaled.trunc() {
        return None;
    }
    i64::try_from(scaled).ok()
}

/// The hundredths that a text such as `119.00` means.
pub fn parse(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    hundredths(text.parse().ok().filter(|_| plain)?)
}

/// Hundredths as text with two decimals.
pub fn text(hundredths: i64) -> String {
    Decimal::new(hundredths, 2).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_hundredths_mean_the_same() {
        for (written, value) in [
            ("119", 11_900),
            ("119.0", 11_900),
            ("0.01", 1),
            ("10000000000000.00", LARGEST),
        ] {
            assert_eq!(parse(written), Some(value), "{written}");
        }
        for wrong in [
            "",
            "1.234",
            "-1",
            "+1",
            "1e3",
            "1,50",
            "10000000000000.01",
            " 1",
            "999999999999999999999999",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            (text(11_900), text(1), text(-5)),
            ("119.00".into(), "0.01".into(), "-0.05".into())
        );
        assert_eq!(millionths(Decimal::new(55, 1)), Some(55_000));
        assert_eq!(millionths(Decimal::new(123_456, 5)), None);
    }
}
