//! Where a rule ends: the smallest piece of an invoice that it takes, and the smallest that it does not. The cases are
//! those that mutation testing missed in the vectors (invoices/mutants); those of CII and XRechnung lie in `edges/`.

use muniment_invoices::{Limits, Set, check_sets};

fn fires(text: &str, rule: &str) -> bool {
    let findings = check_sets(text.as_bytes(), &[Set::En16931], &Limits::DEFAULT).unwrap();
    findings.iter().any(|finding| finding.rule == rule)
}

/// Rule, whether it fires, and what the document consists of.
type Case = (&'static str, bool, &'static str);

fn ubl(root: &str, content: &str) -> String {
    format!(
        "<{root} xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:{root}-2\" \
         xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" \
         xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\">{content}</{root}>"
    )
}

fn judge(root: &str, cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(rule, expected, content)| fires(&ubl(root, content), rule) != *expected)
        .map(|(rule, expected, content)| format!("{rule} must {}fire: {content}", if *expected { "" } else { "not " }))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_and_contexts() {
    judge(
        "Invoice",
        &[
            (
                "BR-CL-21",
                false,
                "<cac:StandardItemIdentification><cbc:ID>1</cbc:ID></cac:StandardItemIdentification>",
            ),
            (
                "BR-CL-21",
                true,
                "<cac:StandardItemIdentification><cbc:ID schemeID='no'>1</cbc:ID></cac:StandardItemIdentification>",
            ),
            (
                "BR-CL-22",
                false,
                "<cbc:TaxExemptionReasonCode>vatex-eu-132</cbc:TaxExemptionReasonCode>",
            ),
            (
                "BR-CL-22",
                true,
                "<cbc:TaxExemptionReasonCode>none</cbc:TaxExemptionReasonCode>",
            ),
            ("BR-57", false, "<cac:PayeeParty><cac:Address/></cac:PayeeParty>"),
            (
                "BR-57",
                true,
                "<cac:Delivery><cac:DeliveryLocation><cac:Address/></cac:DeliveryLocation></cac:Delivery>",
            ),
            (
                "BR-65",
                false,
                "<cac:CommodityClassification><cbc:ItemClassificationCode>1</cbc:ItemClassificationCode></cac:CommodityClassification>",
            ),
            (
                "BR-65",
                false,
                "<cac:InvoiceLine><cac:Item><cbc:ItemClassificationCode>1</cbc:ItemClassificationCode></cac:Item></cac:InvoiceLine>",
            ),
            (
                "BR-65",
                true,
                "<cac:InvoiceLine><cac:Item><cac:CommodityClassification><cbc:ItemClassificationCode>1</cbc:ItemClassificationCode></cac:CommodityClassification></cac:Item></cac:InvoiceLine>",
            ),
            (
                "BR-64",
                false,
                "<cac:StandardItemIdentification><cbc:ID>1</cbc:ID></cac:StandardItemIdentification>",
            ),
            (
                "BR-64",
                true,
                "<cac:InvoiceLine><cac:Item><cac:StandardItemIdentification><cbc:ID>1</cbc:ID></cac:StandardItemIdentification></cac:Item></cac:InvoiceLine>",
            ),
            (
                "BR-51",
                false,
                "<cbc:PrimaryAccountNumberID>12345678901</cbc:PrimaryAccountNumberID>",
            ),
            (
                "BR-51",
                false,
                "<cac:PaymentMeans><cac:CardAccount><cbc:PrimaryAccountNumberID>1234567890</cbc:PrimaryAccountNumberID></cac:CardAccount></cac:PaymentMeans>",
            ),
            (
                "BR-51",
                true,
                "<cac:PaymentMeans><cac:CardAccount><cbc:PrimaryAccountNumberID>12345678901</cbc:PrimaryAccountNumberID></cac:CardAccount></cac:PaymentMeans>",
            ),
            (
                "BR-50",
                false,
                "<cac:PaymentMeans><cbc:PaymentMeansCode>10</cbc:PaymentMeansCode><cac:PayeeFinancialAccount/></cac:PaymentMeans>",
            ),
            (
                "BR-50",
                true,
                "<cac:PaymentMeans><cbc:PaymentMeansCode>58</cbc:PaymentMeansCode><cac:PayeeFinancialAccount/></cac:PaymentMeans>",
            ),
        ],
    );
}

#[test]
fn totals_periods_and_lines() {
    judge(
        "Invoice",
        &[
            (
                "BR-CO-13",
                false,
                "<cac:LegalMonetaryTotal><cbc:LineExtensionAmount>10.004</cbc:LineExtensionAmount><cbc:TaxExclusiveAmount>11.00</cbc:TaxExclusiveAmount><cbc:ChargeTotalAmount>1.00</cbc:ChargeTotalAmount></cac:LegalMonetaryTotal>",
            ),
            (
                "BR-CO-13",
                false,
                "<cac:LegalMonetaryTotal><cbc:LineExtensionAmount>10.004</cbc:LineExtensionAmount><cbc:TaxExclusiveAmount>9.00</cbc:TaxExclusiveAmount><cbc:AllowanceTotalAmount>1.00</cbc:AllowanceTotalAmount></cac:LegalMonetaryTotal>",
            ),
            (
                "BR-CO-13",
                true,
                "<cac:LegalMonetaryTotal><cbc:LineExtensionAmount>10.004</cbc:LineExtensionAmount><cbc:TaxExclusiveAmount>10.00</cbc:TaxExclusiveAmount></cac:LegalMonetaryTotal>",
            ),
            (
                "BR-CO-19",
                false,
                "<cac:InvoicePeriod><cbc:StartDate>2026-01-01</cbc:StartDate></cac:InvoicePeriod>",
            ),
            (
                "BR-CO-19",
                false,
                "<cac:InvoicePeriod><cbc:EndDate>2026-01-01</cbc:EndDate></cac:InvoicePeriod>",
            ),
            (
                "BR-CO-20",
                false,
                "<cac:InvoiceLine><cac:InvoicePeriod><cbc:StartDate>2026-01-01</cbc:StartDate></cac:InvoicePeriod></cac:InvoiceLine>",
            ),
            (
                "BR-CO-20",
                false,
                "<cac:InvoiceLine><cac:InvoicePeriod><cbc:EndDate>2026-01-01</cbc:EndDate></cac:InvoicePeriod></cac:InvoiceLine>",
            ),
            (
                "BR-CO-20",
                true,
                "<cac:InvoiceLine><cac:InvoicePeriod/></cac:InvoiceLine>",
            ),
            (
                "BR-28",
                false,
                "<cac:InvoiceLine><cac:Price><cac:AllowanceCharge><cbc:BaseAmount>-1</cbc:BaseAmount><cbc:BaseAmount>1</cbc:BaseAmount></cac:AllowanceCharge></cac:Price></cac:InvoiceLine>",
            ),
            (
                "BR-27",
                false,
                "<cac:InvoiceLine><cac:Price><cbc:PriceAmount>-1</cbc:PriceAmount><cbc:PriceAmount>0</cbc:PriceAmount></cac:Price></cac:InvoiceLine>",
            ),
            (
                "BR-CO-04",
                false,
                "<cac:InvoiceLine><cac:Item><cac:ClassifiedTaxCategory/><cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item></cac:InvoiceLine>",
            ),
            (
                "UBL-DT-01",
                true,
                "<cac:InvoiceLine><cac:Price><cbc:BaseAmount>1.234</cbc:BaseAmount></cac:Price></cac:InvoiceLine>",
            ),
            (
                "UBL-DT-01",
                false,
                "<cac:InvoiceLine><cac:Price><cbc:PriceAmount>1.234</cbc:PriceAmount></cac:Price></cac:InvoiceLine>",
            ),
            (
                "UBL-DT-01",
                false,
                "<cac:InvoiceLine><cac:Price><cac:AllowanceCharge><cbc:BaseAmount>1.234</cbc:BaseAmount></cac:AllowanceCharge></cac:Price></cac:InvoiceLine>",
            ),
            (
                "UBL-SR-30",
                false,
                "<cac:AllowanceCharge><cbc:ChargeIndicator>true</cbc:ChargeIndicator><cbc:AllowanceChargeReason>a</cbc:AllowanceChargeReason><cbc:AllowanceChargeReason>b</cbc:AllowanceChargeReason></cac:AllowanceCharge>",
            ),
            (
                "UBL-SR-31",
                false,
                "<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:AllowanceChargeReason>a</cbc:AllowanceChargeReason><cbc:AllowanceChargeReason>b</cbc:AllowanceChargeReason></cac:AllowanceCharge>",
            ),
            ("UBL-CR-002", false, "<cbc:UBLVersionID>2.1</cbc:UBLVersionID>"),
            ("UBL-CR-002", true, "<cbc:UBLVersionID>2.0</cbc:UBLVersionID>"),
        ],
    );
}

/// A seller, and a payee that is somebody else as far as the case does not say otherwise.
macro_rules! payee {
    ($payee:literal) => {
        concat!(
            "<cac:AccountingSupplierParty><cac:Party><cac:PartyIdentification><cbc:ID>1</cbc:ID></cac:PartyIdentification>",
            "<cac:PartyName><cbc:Name>Seller</cbc:Name></cac:PartyName>",
            "<cac:PartyLegalEntity><cbc:RegistrationName>Seller Ltd</cbc:RegistrationName></cac:PartyLegalEntity>",
            "</cac:Party></cac:AccountingSupplierParty><cac:PayeeParty>",
            $payee,
            "</cac:PayeeParty>"
        )
    };
}

#[test]
fn parties() {
    judge(
        "Invoice",
        &[
            (
                "BR-17",
                false,
                payee!("<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName>"),
            ),
            (
                "BR-17",
                true,
                payee!("<cac:PartyName><cbc:Name>Seller</cbc:Name></cac:PartyName>"),
            ),
            (
                "BR-17",
                true,
                payee!("<cac:PartyName><cbc:Name>Bank</cbc:Name><cbc:Name>Seller</cbc:Name></cac:PartyName>"),
            ),
            (
                "BR-17",
                true,
                payee!(
                    "<cac:PartyIdentification><cbc:ID>1</cbc:ID></cac:PartyIdentification><cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName>"
                ),
            ),
            (
                "BR-17",
                true,
                payee!(
                    "<cac:PartyIdentification><cbc:ID>1</cbc:ID><cbc:ID>2</cbc:ID></cac:PartyIdentification><cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName>"
                ),
            ),
            (
                "UBL-SR-19",
                false,
                payee!("<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName>"),
            ),
            (
                "UBL-SR-19",
                true,
                payee!("<cac:PartyName><cbc:Name>Bank</cbc:Name><cbc:Name>B</cbc:Name></cac:PartyName>"),
            ),
            (
                "UBL-SR-20",
                false,
                payee!(
                    "<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName><cac:PartyIdentification><cbc:ID schemeID='SEPA'>2</cbc:ID><cbc:ID schemeID='0088'>3</cbc:ID><cbc:ID>4</cbc:ID></cac:PartyIdentification>"
                ),
            ),
            (
                "UBL-SR-20",
                true,
                payee!(
                    "<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName><cac:PartyIdentification><cbc:ID schemeID='0088'>2</cbc:ID><cbc:ID schemeID='0088'>3</cbc:ID></cac:PartyIdentification>"
                ),
            ),
            (
                "UBL-SR-21",
                false,
                payee!(
                    "<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName><cac:PartyLegalEntity><cbc:CompanyID>2</cbc:CompanyID></cac:PartyLegalEntity>"
                ),
            ),
            (
                "UBL-SR-21",
                true,
                payee!(
                    "<cac:PartyName><cbc:Name>Bank</cbc:Name></cac:PartyName><cac:PartyLegalEntity><cbc:CompanyID>2</cbc:CompanyID><cbc:CompanyID>3</cbc:CompanyID></cac:PartyLegalEntity>"
                ),
            ),
            (
                "BR-CO-26",
                true,
                "<cac:AccountingSupplierParty><cac:Party><cac:PartyIdentification><cbc:ID schemeID='SEPA'>1</cbc:ID></cac:PartyIdentification></cac:Party></cac:AccountingSupplierParty>",
            ),
            (
                "BR-CO-26",
                false,
                "<cac:AccountingSupplierParty><cac:Party><cac:PartyIdentification><cbc:ID>1</cbc:ID></cac:PartyIdentification></cac:Party></cac:AccountingSupplierParty>",
            ),
        ],
    );
}

#[test]
fn references() {
    let typed = [
        (
            "UBL-SR-43",
            true,
            "<cac:AdditionalDocumentReference><cbc:ID schemeID='a'>1</cbc:ID></cac:AdditionalDocumentReference>",
        ),
        (
            "UBL-SR-43",
            false,
            "<cac:AdditionalDocumentReference><cbc:ID>1</cbc:ID></cac:AdditionalDocumentReference>",
        ),
        (
            "UBL-CR-665",
            true,
            "<cac:AdditionalDocumentReference><cbc:ID schemeID='a'>1</cbc:ID></cac:AdditionalDocumentReference>",
        ),
        (
            "UBL-CR-665",
            true,
            "<cac:AdditionalDocumentReference><cbc:ID schemeID='a'>1</cbc:ID><cbc:DocumentTypeCode>130</cbc:DocumentTypeCode><cbc:DocumentTypeCode>50</cbc:DocumentTypeCode></cac:AdditionalDocumentReference>",
        ),
    ];
    judge("Invoice", &typed);
    let project = "<cac:AdditionalDocumentReference><cbc:ID schemeID='a'>1</cbc:ID><cbc:DocumentTypeCode>50</cbc:DocumentTypeCode></cac:AdditionalDocumentReference>";
    let other = "<cac:AdditionalDocumentReference><cbc:ID schemeID='a'>1</cbc:ID><cbc:DocumentTypeCode>51</cbc:DocumentTypeCode></cac:AdditionalDocumentReference>";
    judge("Invoice", &[("UBL-SR-43", true, project)]);
    judge(
        "CreditNote",
        &[("UBL-SR-43", false, project), ("UBL-SR-43", true, other)],
    );
}

/// A VAT breakdown of one category, and a country beside it.
macro_rules! category {
    ($code:literal, $more:literal) => {
        concat!(
            "<cac:TaxTotal><cac:TaxSubtotal><cac:TaxCategory><cbc:ID>",
            $code,
            "</cbc:ID><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory></cac:TaxSubtotal></cac:TaxTotal>",
            $more
        )
    };
}

#[test]
fn vat_categories() {
    const ALSO_S: &str = category!(
        "B",
        "<cac:AllowanceCharge><cac:TaxCategory><cbc:ID>S</cbc:ID></cac:TaxCategory></cac:AllowanceCharge>"
    );
    judge(
        "Invoice",
        &[
            (
                "BR-B-01",
                false,
                category!("B", "<cbc:IdentificationCode>IT</cbc:IdentificationCode>"),
            ),
            (
                "BR-B-01",
                true,
                category!("B", "<cbc:IdentificationCode>DE</cbc:IdentificationCode>"),
            ),
            (
                "BR-B-01",
                true,
                category!(
                    "B",
                    "<cbc:IdentificationCode>IT</cbc:IdentificationCode><cbc:IdentificationCode>DE</cbc:IdentificationCode>"
                ),
            ),
            (
                "BR-B-01",
                false,
                category!("S", "<cbc:IdentificationCode>DE</cbc:IdentificationCode>"),
            ),
            ("BR-B-02", true, ALSO_S),
            ("BR-B-02", false, category!("B", "")),
            ("BR-B-02", false, category!("S", "")),
            (
                "BR-IC-11",
                true,
                category!(
                    "K",
                    "<cac:Delivery><cbc:ActualDeliveryDate>2</cbc:ActualDeliveryDate></cac:Delivery>"
                ),
            ),
            (
                "BR-IC-11",
                false,
                category!(
                    "K",
                    "<cac:Delivery><cbc:ActualDeliveryDate>20</cbc:ActualDeliveryDate></cac:Delivery>"
                ),
            ),
            (
                "BR-IC-12",
                true,
                category!(
                    "K",
                    "<cac:Delivery><cac:DeliveryLocation><cac:Address><cac:Country><cbc:IdentificationCode>D</cbc:IdentificationCode></cac:Country></cac:Address></cac:DeliveryLocation></cac:Delivery>"
                ),
            ),
            (
                "BR-IC-12",
                false,
                category!(
                    "K",
                    "<cac:Delivery><cac:DeliveryLocation><cac:Address><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:Address></cac:DeliveryLocation></cac:Delivery>"
                ),
            ),
        ],
    );
}

/// A piece of CII where it belongs, in a document that says of itself what `specification` names.
fn cii(place: &str, specification: &str, content: &str) -> String {
    let group = match place {
        "agreement" => "ApplicableHeaderTradeAgreement",
        "delivery" => "ApplicableHeaderTradeDelivery",
        "settlement" => "ApplicableHeaderTradeSettlement",
        "line" => "IncludedSupplyChainTradeLineItem",
        "transaction" | "root" => "",
        other => panic!("where is {other}?"),
    };
    let grouped = if group.is_empty() {
        content.to_owned()
    } else {
        format!("<{group}>{content}</{group}>")
    };
    let placed = if place == "root" {
        grouped
    } else {
        format!("<rsm:SupplyChainTradeTransaction>{grouped}</rsm:SupplyChainTradeTransaction>")
    };
    let context = if specification.is_empty() {
        String::new()
    } else {
        format!(
            "<rsm:ExchangedDocumentContext><GuidelineSpecifiedDocumentContextParameter><ID>{specification}</ID>\
             </GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>"
        )
    };
    format!(
        "<rsm:CrossIndustryInvoice xmlns:rsm=\"urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100\" \
         xmlns=\"urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100\" \
         xmlns:udt=\"urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100\">{context}{placed}\
         </rsm:CrossIndustryInvoice>"
    )
}

/// The document of a case: `invoice+extension`, for instance, is an invoice of the extension of XRechnung.
fn document(place: &str, content: &str) -> String {
    const XRECHNUNG: &str = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0";
    let (place, kind) = place.split_once('+').unwrap_or((place, ""));
    let specification = match kind {
        "" => String::new(),
        "extension" => format!("{XRECHNUNG}#conformant#urn:xeinkauf.de:kosit:extension:xrechnung_3.0"),
        "vehicles" => format!("{XRECHNUNG}#compliant#urn:xeinkauf.de:kosit:xrechnung:cvd_0.9"),
        other => panic!("what is {other}?"),
    };
    let root = match place {
        "invoice" => "Invoice",
        "credit" => "CreditNote",
        _ => return cii(place, &specification, content),
    };
    let named = if specification.is_empty() {
        String::new()
    } else {
        format!("<cbc:CustomizationID>{specification}</cbc:CustomizationID>")
    };
    ubl(root, &format!("{named}{content}"))
}

fn judge_file(text: &str, set: Set, least: usize) {
    let (mut count, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.splitn(4, ' ');
        let (rule, expected, place) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let document = document(place, words.next().unwrap_or_default());
        let findings = check_sets(document.as_bytes(), &[set], &Limits::DEFAULT).unwrap();
        count += 1;
        if findings.iter().any(|finding| finding.rule == rule) != (expected == "fires") {
            wrong.push(line);
        }
    }
    assert!(
        count >= least && wrong.is_empty(),
        "of {count} cases:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn pieces_of_cii() {
    judge_file(include_str!("edges/cii.txt"), Set::En16931, 150);
}

#[test]
fn pieces_of_xrechnung() {
    judge_file(include_str!("edges/xrechnung.txt"), Set::XRechnung, 150);
}
