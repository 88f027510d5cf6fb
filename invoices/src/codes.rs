//! Code lists: which codes there are. The lists are data files with their version in the first line.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::xml::{Hashing, normalize};

/// One code list.
pub(crate) struct Codes {
    text: &'static str,
    set: HashSet<&'static str, Hashing>,
    /// All codes with a space before and after each.
    joined: String,
}

impl Codes {
    fn read(text: &'static str) -> Self {
        let codes = || codes(text);
        let mut joined = String::from(" ");
        for code in codes() {
            joined.push_str(code);
            joined.push(' ');
        }
        Self {
            text,
            set: codes().collect(),
            joined,
        }
    }

    /// All codes, in the order of the data.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static str> {
        codes(self.text)
    }

    /// Whether a code is on the list, apart from white space around it.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.set.contains(&*normalize(code))
    }

    /// Whether a text occurs in the list written out, as `contains()` looks for it.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.joined.contains(text)
    }
}

fn codes(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
}

/// UNTDID 1001: all type codes of invoices and credit notes that the standard takes (BT-3).
pub fn type_codes() -> impl Iterator<Item = &'static str> {
    INVOICE_TYPES.all().chain(CREDIT_NOTE_TYPES.all())
}

/// UNTDID 5305: all VAT categories that the standard takes (BT-118).
pub fn vat_categories() -> impl Iterator<Item = &'static str> {
    VAT_CATEGORIES.all()
}

macro_rules! lists {
    ($($name:ident $file:literal)*) => {
        $(pub(crate) static $name: LazyLock<Codes> =
            LazyLock::new(|| Codes::read(include_str!(concat!("../data/codes/", $file, ".txt"))));)*
    };
}

lists! {
    INVOICE_TYPES "untdid1001-invoice"
    CREDIT_NOTE_TYPES "untdid1001-credit-note"
    CURRENCIES "iso4217"
    COUNTRIES "iso3166"
    POINT_DATES_UBL "untdid2005"
    POINT_DATES_CII "untdid2475"
    REFERENCES "untdid1153"
    SUBJECTS "untdid4451"
    SCHEMES "iso6523"
    CLASSIFICATIONS "untdid7143"
    PAYMENT_MEANS "untdid4461"
    VAT_CATEGORIES "untdid5305"
    ALLOWANCE_REASONS "untdid5189"
    CHARGE_REASONS "untdid7161"
    EXEMPTIONS "vatex"
    UNITS "units"
    ADDRESSES "eas"
}

/// Kinds of attachments that the standard allows.
pub(crate) const MIME_TYPES: [&str; 6] = [
    "application/pdf",
    "image/png",
    "image/jpeg",
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
];

/// Note subjects that the CII binding knows and the UBL binding does not.
pub(crate) const SUBJECTS_OF_CII_ONLY: [&str; 18] = [
    "BAT", "BAU", "BAV", "BAW", "BAX", "BAY", "BAZ", "BBA", "BBB", "BMF", "BMG", "BMH", "CCJ", "CCK", "CCL", "CCM",
    "CCN", "CCO",
];

/// A country of the UBL lists.
pub(crate) fn ubl_country(code: &str) -> bool {
    COUNTRIES.has(code)
}

/// A country of the CII lists, which are older in one place.
pub(crate) fn cii_country(code: &str) -> bool {
    match &*normalize(code) {
        "SS" => false,
        "AN" => true,
        code => COUNTRIES.has(code),
    }
}
