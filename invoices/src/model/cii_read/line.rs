//! Lines of CII into the model.

use super::*;

pub(super) fn line(node: Node<'_>, source: &Source) -> Line {
    let quantity = node.first(p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity));
    let settlement = node.first(p!(ram:SpecifiedLineTradeSettlement));
    let of_settlement = |path: Path| settlement.and_then(|settlement| text(settlement, path));
    let mut documents = settlement
        .into_iter()
        .flat_map(|settlement| settlement.at(p!(ram:AdditionalReferencedDocument)));
    let adjust = |charge| {
        settlement
            .map(|settlement| adjustments(settlement, source, charge))
            .unwrap_or_default()
    };
    Line {
        id: required(node, p!(ram:AssociatedDocumentLineDocument/ram:LineID)),
        note: text(
            node,
            p!(ram:AssociatedDocumentLineDocument/ram:IncludedNote/ram:Content),
        ),
        object: documents
            .find(|document| document.clean_at(p!(ram:TypeCode)) == "130")
            .and_then(object),
        quantity: source.number(node, p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity)),
        unit: quantity
            .and_then(|quantity| attribute(quantity, at::unitCode))
            .unwrap_or_default(),
        net: source.number(
            node,
            p!(ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount),
        ),
        order_line: text(
            node,
            p!(ram:SpecifiedLineTradeAgreement/ram:BuyerOrderReferencedDocument/ram:LineID),
        ),
        accounting: of_settlement(p!(ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID)),
        period: settlement
            .and_then(|settlement| settlement.first(p!(ram:BillingSpecifiedPeriod)))
            .map(period)
            .and_then(group),
        allowances: adjust(false),
        charges: adjust(true),
        price: price(node, source),
        category: of_settlement(p!(ram:ApplicableTradeTax/ram:CategoryCode)).unwrap_or_default(),
        rate: source.number(
            node,
            p!(ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:RateApplicablePercent),
        ),
        item: node.first(p!(ram:SpecifiedTradeProduct)).map(item).unwrap_or_default(),
    }
}

pub(super) fn price(line: Node<'_>, source: &Source) -> Price {
    const NET: Path = p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:BasisQuantity);
    const GROSS: Path = p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:BasisQuantity);
    let base = if line.has(NET) { NET } else { GROSS };
    let discount = source.number(line, p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:AppliedTradeAllowanceCharge/ram:ActualAmount));
    Price {
        net: source.number(
            line,
            p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount),
        ),
        discount: discount.filter(|discount| !discount.is_zero()),
        gross: source.number(
            line,
            p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:ChargeAmount),
        ),
        base: source.number(line, base),
        base_unit: line.first(base).and_then(|quantity| attribute(quantity, at::unitCode)),
    }
}

pub(super) fn item(node: Node<'_>) -> Item {
    let classification = |node: Node<'_>| Classification {
        code: value(node),
        scheme: attribute(node, at::listID),
        version: attribute(node, at::listVersionID),
    };
    let property = |node: Node<'_>| Attribute {
        name: required(node, p!(ram:Description)),
        value: required(node, p!(ram:Value)),
    };
    Item {
        name: required(node, p!(ram:Name)),
        description: text(node, p!(ram:Description)),
        seller_id: text(node, p!(ram:SellerAssignedID)),
        buyer_id: text(node, p!(ram:BuyerAssignedID)),
        standard_id: identifier_at(node, p!(ram:GlobalID)),
        classifications: node
            .at(p!(ram:DesignatedProductClassification/ram:ClassCode))
            .map(classification)
            .filter_map(group)
            .collect(),
        origin: text(node, p!(ram:OriginTradeCountry/ram:ID)),
        attributes: node
            .at(p!(ram:ApplicableProductCharacteristic))
            .map(property)
            .filter_map(group)
            .collect(),
    }
}
