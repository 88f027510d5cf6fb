//! Lines as UBL.

use super::*;

pub(super) fn line(line: &Line, credit: bool, currency: &str) -> Part {
    let quantity = if credit {
        "cbc:CreditedQuantity"
    } else {
        "cbc:InvoicedQuantity"
    };
    let object = line.object.as_ref().and_then(|object| {
        group(
            "cac:DocumentReference",
            [identifier("cbc:ID", Some(object)), text("cbc:DocumentTypeCode", "130")],
        )
    });
    let mut parts = vec![
        text("cbc:ID", line.id.as_str()),
        optional("cbc:Note", line.note.as_ref()),
        with(number(quantity, line.quantity), "unitCode", Some(&line.unit)),
        amount("cbc:LineExtensionAmount", line.net, currency),
        optional("cbc:AccountingCost", line.accounting.as_ref()),
        group("cac:InvoicePeriod", period(line.period.as_ref())),
        group(
            "cac:OrderLineReference",
            [optional("cbc:LineID", line.order_line.as_ref())],
        ),
        object,
    ];
    parts.extend(line.allowances.iter().map(|node| adjustment(node, false, currency)));
    parts.extend(line.charges.iter().map(|node| adjustment(node, true, currency)));
    parts.push(item(line));
    parts.push(price(&line.price, currency));
    group(
        if credit {
            "cac:CreditNoteLine"
        } else {
            "cac:InvoiceLine"
        },
        parts,
    )
}

pub(super) fn item(line: &Line) -> Part {
    let item = &line.item;
    let id = |name, id: Option<&String>| group(name, [optional("cbc:ID", id)]);
    let mut parts = vec![
        optional("cbc:Description", item.description.as_ref()),
        text("cbc:Name", item.name.as_str()),
        id("cac:BuyersItemIdentification", item.buyer_id.as_ref()),
        id("cac:SellersItemIdentification", item.seller_id.as_ref()),
        group(
            "cac:StandardItemIdentification",
            [identifier("cbc:ID", item.standard_id.as_ref())],
        ),
        group(
            "cac:OriginCountry",
            [optional("cbc:IdentificationCode", item.origin.as_ref())],
        ),
    ];
    parts.extend(item.classifications.iter().map(|code| {
        let part = with(
            text("cbc:ItemClassificationCode", code.code.as_str()),
            "listID",
            code.scheme.as_deref(),
        );
        group(
            "cac:CommodityClassification",
            [with(part, "listVersionID", code.version.as_deref())],
        )
    }));
    parts.push(category(
        "cac:ClassifiedTaxCategory",
        &line.category,
        line.rate,
        [None, None],
    ));
    parts.extend(item.attributes.iter().map(|attribute| {
        group(
            "cac:AdditionalItemProperty",
            [
                text("cbc:Name", attribute.name.as_str()),
                text("cbc:Value", attribute.value.as_str()),
            ],
        )
    }));
    group("cac:Item", parts)
}

pub(super) fn price(price: &Price, currency: &str) -> Part {
    let discount = if price.discount.is_some() || price.gross.is_some() {
        // UBL wants an amount beside the gross price; the readers take zero as none.
        let less = price.discount.or(Some(Decimal::ZERO));
        group(
            "cac:AllowanceCharge",
            [
                text("cbc:ChargeIndicator", "false"),
                amount("cbc:Amount", less, currency),
                amount("cbc:BaseAmount", price.gross, currency),
            ],
        )
    } else {
        None
    };
    group(
        "cac:Price",
        [
            amount("cbc:PriceAmount", price.net, currency),
            with(
                number("cbc:BaseQuantity", price.base),
                "unitCode",
                price.base_unit.as_deref(),
            ),
            discount,
        ],
    )
}
