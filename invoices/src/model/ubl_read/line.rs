//! Lines of UBL into the model.

use super::*;

pub(super) fn line(node: Node<'_>, source: &Source) -> Line {
    let quantity = node
        .first(p!(cbc:InvoicedQuantity))
        .or_else(|| node.first(p!(cbc:CreditedQuantity)));
    let path = if node.has(p!(cbc:InvoicedQuantity)) {
        p!(cbc:InvoicedQuantity)
    } else {
        p!(cbc:CreditedQuantity)
    };
    Line {
        id: required(node, p!(cbc:ID)),
        note: text(node, p!(cbc:Note)),
        object: identifier_at(node, p!(cac:DocumentReference/cbc:ID)),
        quantity: source.number(node, path),
        unit: quantity
            .and_then(|quantity| attribute(quantity, at::unitCode))
            .unwrap_or_default(),
        net: source.number(node, p!(cbc:LineExtensionAmount)),
        order_line: text(node, p!(cac:OrderLineReference/cbc:LineID)),
        accounting: text(node, p!(cbc:AccountingCost)),
        period: node.first(p!(cac:InvoicePeriod)).map(period).and_then(group),
        allowances: adjustments(node, source, false),
        charges: adjustments(node, source, true),
        price: price(node, source),
        category: required(node, p!(cac:Item/cac:ClassifiedTaxCategory/cbc:ID)),
        rate: source.number(node, p!(cac:Item/cac:ClassifiedTaxCategory/cbc:Percent)),
        item: node.first(p!(cac:Item)).map(item).unwrap_or_default(),
    }
}

pub(super) fn price(line: Node<'_>, source: &Source) -> Price {
    let base = line.first(p!(cac:Price/cbc:BaseQuantity));
    Price {
        net: source.number(line, p!(cac:Price/cbc:PriceAmount)),
        discount: source
            .number(line, p!(cac:Price/cac:AllowanceCharge/cbc:Amount))
            .filter(|discount| !discount.is_zero()),
        gross: source.number(line, p!(cac:Price/cac:AllowanceCharge/cbc:BaseAmount)),
        base: source.number(line, p!(cac:Price/cbc:BaseQuantity)),
        base_unit: base.and_then(|base| attribute(base, at::unitCode)),
    }
}

pub(super) fn item(node: Node<'_>) -> Item {
    let classification = |node: Node<'_>| Classification {
        code: value(node),
        scheme: attribute(node, at::listID),
        version: attribute(node, at::listVersionID),
    };
    let property = |node: Node<'_>| Attribute {
        name: required(node, p!(cbc:Name)),
        value: required(node, p!(cbc:Value)),
    };
    Item {
        name: required(node, p!(cbc:Name)),
        description: text(node, p!(cbc:Description)),
        seller_id: text(node, p!(cac:SellersItemIdentification/cbc:ID)),
        buyer_id: text(node, p!(cac:BuyersItemIdentification/cbc:ID)),
        standard_id: identifier_at(node, p!(cac:StandardItemIdentification/cbc:ID)),
        classifications: node
            .at(p!(cac:CommodityClassification/cbc:ItemClassificationCode))
            .map(classification)
            .filter_map(group)
            .collect(),
        origin: text(node, p!(cac:OriginCountry/cbc:IdentificationCode)),
        attributes: node
            .at(p!(cac:AdditionalItemProperty))
            .map(property)
            .filter_map(group)
            .collect(),
    }
}
