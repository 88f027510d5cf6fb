//! Lines as CII.

use super::*;

pub(super) fn line(line: &Line) -> Part {
    let note = group("ram:IncludedNote", [optional("ram:Content", line.note.as_ref())]);
    group(
        "ram:IncludedSupplyChainTradeLineItem",
        [
            group(
                "ram:AssociatedDocumentLineDocument",
                [text("ram:LineID", line.id.as_str()), note],
            ),
            product(&line.item),
            price(line),
            group(
                "ram:SpecifiedLineTradeDelivery",
                [with(
                    number("ram:BilledQuantity", line.quantity),
                    "unitCode",
                    Some(&line.unit),
                )],
            ),
            line_settlement(line),
        ],
    )
}

pub(super) fn product(item: &Item) -> Part {
    let mut parts = vec![
        identifier("ram:GlobalID", item.standard_id.as_ref()),
        optional("ram:SellerAssignedID", item.seller_id.as_ref()),
        optional("ram:BuyerAssignedID", item.buyer_id.as_ref()),
        text("ram:Name", item.name.as_str()),
        optional("ram:Description", item.description.as_ref()),
    ];
    parts.extend(item.attributes.iter().map(|attribute| {
        group(
            "ram:ApplicableProductCharacteristic",
            [
                text("ram:Description", attribute.name.as_str()),
                text("ram:Value", attribute.value.as_str()),
            ],
        )
    }));
    parts.extend(item.classifications.iter().map(|code| {
        let part = with(
            text("ram:ClassCode", code.code.as_str()),
            "listID",
            code.scheme.as_deref(),
        );
        group(
            "ram:DesignatedProductClassification",
            [with(part, "listVersionID", code.version.as_deref())],
        )
    }));
    parts.push(group(
        "ram:OriginTradeCountry",
        [optional("ram:ID", item.origin.as_ref())],
    ));
    group("ram:SpecifiedTradeProduct", parts)
}

pub(super) fn price(line: &Line) -> Part {
    let price = &line.price;
    let discount = price.discount.and_then(|discount| {
        let indicator = group("ram:ChargeIndicator", [text("udt:Indicator", "false")]);
        group(
            "ram:AppliedTradeAllowanceCharge",
            [indicator, number("ram:ActualAmount", Some(discount))],
        )
    });
    group(
        "ram:SpecifiedLineTradeAgreement",
        [
            group(
                "ram:BuyerOrderReferencedDocument",
                [optional("ram:LineID", line.order_line.as_ref())],
            ),
            group(
                "ram:GrossPriceProductTradePrice",
                [number("ram:ChargeAmount", price.gross), discount],
            ),
            group(
                "ram:NetPriceProductTradePrice",
                [
                    number("ram:ChargeAmount", price.net),
                    with(
                        number("ram:BasisQuantity", price.base),
                        "unitCode",
                        price.base_unit.as_deref(),
                    ),
                ],
            ),
        ],
    )
}

pub(super) fn line_settlement(line: &Line) -> Part {
    let tax = (!line.category.is_empty() || line.rate.is_some()).then(|| {
        group(
            "ram:ApplicableTradeTax",
            [
                text("ram:TypeCode", "VAT"),
                text("ram:CategoryCode", line.category.as_str()),
                number("ram:RateApplicablePercent", line.rate),
            ],
        )
    });
    let mut parts = vec![tax.flatten(), period(line.period.as_ref())];
    parts.extend(line.allowances.iter().map(|node| adjustment(node, "false")));
    parts.extend(line.charges.iter().map(|node| adjustment(node, "true")));
    parts.push(group(
        "ram:SpecifiedTradeSettlementLineMonetarySummation",
        [number("ram:LineTotalAmount", line.net)],
    ));
    parts.extend(line.object.iter().map(object));
    parts.push(group(
        "ram:ReceivableSpecifiedTradeAccountingAccount",
        [optional("ram:ID", line.accounting.as_ref())],
    ));
    group("ram:SpecifiedLineTradeSettlement", parts)
}
