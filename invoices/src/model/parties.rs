//! Who takes part in an invoice, and where it is delivered to.

use serde::{Deserialize, Serialize};

use super::{Identifier, absent};

groups! {
    /// BG-4 or BG-7 Seller or buyer.
    Party {
        /// BT-27, BT-44 Legal name.
        name: String,
        /// BT-28, BT-45 Trading name.
        trading_name: Option<String>,
        /// BT-29, BT-46 Identifiers; those without a scheme first.
        ids: Vec<Identifier>,
        /// BT-30, BT-47 Legal registration.
        registration: Option<Identifier>,
        /// BT-31, BT-48 VAT identifier.
        vat_id: Option<String>,
        /// BT-32 Tax registration.
        tax_id: Option<String>,
        /// BT-33 Further legal information.
        legal_info: Option<String>,
        /// BT-34, BT-49 Electronic address.
        address_id: Option<Identifier>,
        /// BG-5, BG-8 Postal address.
        address: Option<Address>,
        /// BG-6, BG-9 Contact.
        contact: Option<Contact>,
    }
    /// BG-5, BG-8, BG-12, BG-15 A postal address.
    Address {
        /// First line.
        line1: Option<String>,
        /// Second line.
        line2: Option<String>,
        /// Third line.
        line3: Option<String>,
        /// City.
        city: Option<String>,
        /// Post code.
        post_code: Option<String>,
        /// Part of the country.
        subdivision: Option<String>,
        /// Code of the country.
        country: String,
    }
    /// BG-6, BG-9 A contact.
    Contact {
        /// Person or department.
        name: Option<String>,
        /// Telephone number.
        telephone: Option<String>,
        /// E-mail address.
        email: Option<String>,
    }
    /// BG-10 Payee.
    Payee {
        /// BT-59 Name.
        name: String,
        /// BT-60 Identifier.
        id: Option<Identifier>,
        /// BT-61 Legal registration.
        registration: Option<Identifier>,
    }
    /// BG-11 Tax representative.
    Representative {
        /// BT-62 Name.
        name: String,
        /// BT-63 VAT identifier.
        vat_id: String,
        /// BG-12 Postal address.
        address: Option<Address>,
    }
    /// BG-13 Delivery.
    Delivery {
        /// BT-70 Name of who receives.
        name: Option<String>,
        /// BT-71 Location.
        location: Option<Identifier>,
        /// BT-72 Date.
        date: Option<String>,
        /// BG-15 Address.
        address: Option<Address>,
    }
}
