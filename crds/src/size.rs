//! Sizes of volumes as they are written in a resource: a whole number of `Mi`, `Gi` or `Ti`.
//!
//! Owns their one rule; the same stands in the schema as a CEL rule.

use thiserror::Error;

/// A size that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} isn't a size; write a whole number of Mi, Gi or Ti, e.g. `10Gi`")]
pub struct SizeError(String);

/// Bytes of a size.
///
/// # Errors
/// When it isn't 1 to 9 digits without a leading zero, and a unit.
pub fn bytes(size: &str) -> Result<u64, SizeError> {
    let wrong = || SizeError(size.to_owned());
    let units = [("Mi", 20), ("Gi", 30), ("Ti", 40)];
    let (digits, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((size.strip_suffix(unit)?, *shift)))
        .ok_or_else(wrong)?;
    if digits.len() > 9 || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    // Nine digits of Ti are less than 2^70: more than fits, and more than anyone has.
    count.checked_mul(1 << shift).ok_or_else(wrong)
}

/// The same size as Kubernetes writes it: with the largest unit that leaves a whole number.
///
/// # Errors
/// As [`bytes`].
pub fn canonical(size: &str) -> Result<String, SizeError> {
    let bytes = bytes(size)?;
    let units = [("Pi", 50), ("Ti", 40), ("Gi", 30)];
    let unit = units.iter().find(|(_, shift)| bytes % (1 << shift) == 0);
    let (unit, shift) = unit.unwrap_or(&("Mi", 20));
    Ok(format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_a_unit_only() {
        assert_eq!(bytes("1Mi").unwrap(), 1 << 20);
        assert_eq!(bytes("40Gi").unwrap(), 40 << 30);
        assert_eq!(bytes("2Ti").unwrap(), 2 << 40);
        for (written, shown) in [
            ("2048Mi", "2Gi"),
            ("1500Mi", "1500Mi"),
            ("1024Ti", "1Pi"),
            ("3Gi", "3Gi"),
        ] {
            assert_eq!(canonical(written).unwrap(), shown);
        }
        for bad in [
            "",
            "Gi",
            "0Gi",
            "01Gi",
            "1",
            "1G",
            "1.5Gi",
            "-1Gi",
            "+1Gi",
            "1 Gi",
            "1234567890Mi",
            "999999999Ti",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
