//! The lines of an invoice: BG-25 and what it holds.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Adjustment, Identifier, Period, absent};

groups! {
    /// BG-25 A line.
    Line {
        /// BT-126 Identifier.
        id: String,
        /// BT-127 Note.
        note: Option<String>,
        /// BT-128 Invoiced object.
        object: Option<Identifier>,
        /// BT-129 Quantity.
        quantity: Option<Decimal>,
        /// BT-130 Unit.
        unit: String,
        /// BT-131 Net amount.
        net: Option<Decimal>,
        /// BT-132 Line of the purchase order.
        order_line: Option<String>,
        /// BT-133 Account of the buyer to book on.
        accounting: Option<String>,
        /// BG-26 Period.
        period: Option<Period>,
        /// BG-27 Allowances.
        allowances: Vec<Adjustment>,
        /// BG-28 Charges.
        charges: Vec<Adjustment>,
        /// BG-29 Price.
        price: Price,
        /// BT-151 VAT category.
        category: String,
        /// BT-152 VAT rate.
        rate: Option<Decimal>,
        /// BG-31 Item.
        item: Item,
    }
    /// BG-29 A price.
    Price {
        /// BT-146 Net price.
        net: Option<Decimal>,
        /// BT-147 Discount.
        discount: Option<Decimal>,
        /// BT-148 Gross price.
        gross: Option<Decimal>,
        /// BT-149 Quantity that the price is for.
        base: Option<Decimal>,
        /// BT-150 Unit of that quantity.
        base_unit: Option<String>,
    }
    /// BG-31 An item.
    Item {
        /// BT-153 Name.
        name: String,
        /// BT-154 Description.
        description: Option<String>,
        /// BT-155 Identifier of the seller.
        seller_id: Option<String>,
        /// BT-156 Identifier of the buyer.
        buyer_id: Option<String>,
        /// BT-157 Standard identifier.
        standard_id: Option<Identifier>,
        /// BT-158 Classifications.
        classifications: Vec<Classification>,
        /// BT-159 Country of origin.
        origin: Option<String>,
        /// BG-32 Attributes.
        attributes: Vec<Attribute>,
    }
    /// BT-158 A classification.
    Classification {
        /// Code.
        code: String,
        /// BT-158-1 Scheme.
        scheme: Option<String>,
        /// BT-158-2 Version of the scheme.
        version: Option<String>,
    }
    /// BG-32 An attribute of an item.
    Attribute {
        /// BT-160 Name.
        name: String,
        /// BT-161 Value.
        value: String,
    }
}
