//! Check digits and forms of identifiers that Peppol tests by their scheme.

fn digits(text: &str) -> Option<Vec<u32>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(10)).collect();
    digits.filter(|digits| !digits.is_empty())
}

/// GS1 location number: the last digit makes the weighted sum a multiple of ten.
pub(super) fn is_gln(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let sum: u32 = rest
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| digit * if place % 2 == 0 { 3 } else { 1 })
        .sum();
    (10 - sum % 10) % 10 == *check
}

/// Norwegian organisation number: modulo 11 with weights 2 to 7.
pub(super) fn is_mod11(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let sum: u32 = rest
        .iter()
        .rev()
        .zip((2..=7).cycle())
        .map(|(digit, weight)| digit * weight)
        .sum();
    digits.iter().any(|digit| *digit > 0) && (11 - sum % 11) % 11 == *check
}

/// Belgian enterprise number: the last two digits are 97 less the rest modulo 97.
pub(super) fn is_belgian(text: &str) -> bool {
    let valid = text.len() == 10 && digits(text).is_some();
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u32>().ok());
    valid
        && number(0..8)
            .zip(number(8..10))
            .is_some_and(|(base, check)| 97 - base % 97 == check)
}

/// Danish company number: eight digits, with or without DK before them.
pub(super) fn is_danish(text: &str) -> bool {
    let number = if text.len() == 10 {
        text.strip_prefix("DK")
    } else {
        Some(text)
    };
    number.is_some_and(|number| number.len() == 8 && digits(number).is_some())
}

/// Italian office code: six letters or digits.
pub(super) fn is_italian_office(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Italian tax code: eleven digits, or sixteen characters of letters and digits in their places.
pub(super) fn is_italian_tax_code(text: &str) -> bool {
    let letters = |range: std::ops::Range<usize>| text.as_bytes()[range].iter().all(u8::is_ascii_alphabetic);
    let numbers = |range: std::ops::Range<usize>| text.as_bytes()[range].iter().all(u8::is_ascii_digit);
    match text.len() {
        11 => digits(text).is_some(),
        16 => {
            text.is_ascii()
                && letters(0..6)
                && numbers(6..8)
                && letters(8..9)
                && numbers(9..11)
                && numbers(14..15)
                && letters(15..16)
        }
        _ => false,
    }
}

/// Italian VAT number behind IT: Luhn's check over eleven digits. Numbers of other countries pass.
pub(super) fn is_italian_vat(text: &str) -> bool {
    let Some(number) = text.strip_prefix("IT").or_else(|| text.strip_prefix("it")) else {
        return true;
    };
    let doubled = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    digits(number).is_some_and(|digits| {
        let sum: u32 = digits
            .iter()
            .enumerate()
            .map(|(place, digit)| {
                if place % 2 == 0 {
                    *digit
                } else {
                    doubled[*digit as usize]
                }
            })
            .sum();
        digits.len() == 11 && sum.is_multiple_of(10)
    })
}

/// Swedish organisation number: ten digits, Luhn's check.
pub(super) fn is_swedish(text: &str) -> bool {
    digits(text).is_some_and(|digits| {
        let sum: u32 = digits
            .iter()
            .enumerate()
            .map(|(place, digit)| {
                if place % 2 == 0 {
                    digit * 2 / 10 + digit * 2 % 10
                } else {
                    *digit
                }
            })
            .sum();
        digits.len() == 10 && sum.is_multiple_of(10)
    })
}

/// Australian business number: weighted sum of eleven digits, the first less one, a multiple of 89.
pub(super) fn is_australian(text: &str) -> bool {
    const WEIGHTS: [i64; 11] = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
    digits(text).is_some_and(|digits| {
        let weighted: i64 = digits
            .iter()
            .zip(WEIGHTS)
            .map(|(digit, weight)| i64::from(*digit) * weight)
            .sum();
        digits.len() == 11 && (weighted - 10) % 89 == 0
    })
}

/// Greek tax number: nine digits, powers of two modulo 11 modulo 10.
pub(super) fn is_greek(text: &str) -> bool {
    let Some(digits) = digits(text).filter(|digits| digits.len() == 9) else {
        return false;
    };
    let sum: u32 = digits[..8]
        .iter()
        .enumerate()
        .map(|(place, digit)| digit << (8 - place))
        .sum();
    sum % 11 % 10 == digits[8]
}
