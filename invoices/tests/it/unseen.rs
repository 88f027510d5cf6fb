//! Rules that no case of the vectors fires: each is tried on an invoice that breaks it and nothing before.

use muniment_invoices::{Options, Profile, check, make};

/// An invoice with most groups of the standard.
const RICH: &str = r#"{
  "number": "2026-2", "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
  "specification": "urn:cen.eu:en16931:2017", "buyerReference": "R-1", "process": "p", "tender": "T-1",
  "object": { "id": "O-1", "scheme": "AAA" },
  "seller": {
    "name": "Seller", "vatId": "DE123456789", "ids": [{ "id": "S-1" }], "registration": { "id": "HRB1", "scheme": "0002" },
    "address": { "line1": "Street 1", "city": "Berlin", "postCode": "10115", "country": "DE" },
    "contact": { "name": "Ann", "telephone": "12345", "email": "ann@example.org" }
  },
  "buyer": {
    "name": "Buyer", "ids": [{ "id": "B-1" }],
    "address": { "city": "Paris", "postCode": "75001", "country": "FR" }, "contact": { "name": "Bob" }
  },
  "payee": { "name": "Payee", "id": { "id": "P-1" } },
  "representative": { "name": "Representative", "vatId": "FR12345678901", "address": { "country": "FR" } },
  "delivery": { "name": "Dock", "location": { "id": "4035811991021", "scheme": "0088" }, "date": "2026-11-20",
    "address": { "city": "Lyon", "postCode": "69001", "country": "FR" } },
  "period": { "start": "2026-11-01", "end": "2026-11-30" },
  "payment": { "code": "58", "text": "transfer", "accounts": [{ "id": "DE75512108001245126199" }, { "id": "DE75512108001245126199" }] },
  "allowances": [{ "amount": "1.00", "base": "10.00", "percent": "10", "category": "S", "rate": "19", "reason": "a" }],
  "charges": [{ "amount": "2.00", "base": "20.00", "percent": "10", "category": "S", "rate": "19", "reason": "c" }],
  "totals": { "paid": "10.00", "rounding": "0.02" },
  "documents": [
    { "id": "D-1", "description": "d", "url": "https://example.org/1" },
    { "id": "D-2", "attachment": { "mime": "application/pdf", "filename": "a.pdf", "content": "QQ==" } },
    { "id": "D-3", "attachment": { "mime": "application/pdf", "filename": "b.pdf", "content": "QQ==" } }
  ],
  "lines": [{
    "quantity": "3", "unit": "C62", "object": { "id": "L-1", "scheme": "AAA" },
    "price": { "net": "12.50", "gross": "13.00", "discount": "0.50", "base": "1", "baseUnit": "C62" }, "category": "S", "rate": "19",
    "period": { "start": "2026-11-02", "end": "2026-11-03" },
    "allowances": [{ "amount": "1.00", "base": "10.00", "percent": "10", "reason": "la" }],
    "charges": [{ "amount": "1.00", "base": "10.00", "percent": "10", "reason": "lc" }],
    "item": { "name": "Chair", "origin": "DE", "attributes": [{ "name": "colour", "value": "red" }],
      "classifications": [{ "code": "1", "scheme": "STI" }] }
  }]
}"#;

fn fired(text: &str) -> Vec<String> {
    let report = check(
        text.as_bytes(),
        &Options {
            profile: Profile::XRechnung,
            ..Options::default()
        },
    )
    .unwrap();
    report.findings.iter().map(|finding| finding.rule.to_string()).collect()
}

/// Breaks a document in one place and wants the rule to fire that did not fire before.
fn breaks(text: &str, rule: &str, from: &str, to: &str) {
    assert!(text.contains(from), "{rule}: no {from} in\n{text}");
    assert!(!fired(text).contains(&rule.to_owned()), "{rule} fires before");
    let broken = text.replacen(from, to, 1);
    assert!(
        fired(&broken).contains(&rule.to_owned()),
        "{rule} does not fire, but {:?}\n{broken}",
        fired(&broken)
    );
}

/// The document without white space between elements, so that replacements can span them.
fn dense(text: &str) -> String {
    text.lines().map(str::trim_start).collect()
}

fn cii(draft: &str) -> String {
    dense(&make(draft.as_bytes()).unwrap().to_cii())
}

fn ubl(draft: &str) -> String {
    dense(&make(draft.as_bytes()).unwrap().to_ubl())
}

#[test]
fn the_rich_invoice_passes_en_16931() {
    for text in [cii(RICH), ubl(RICH)] {
        let report = check(text.as_bytes(), &Options::default()).unwrap();
        assert!(
            report.valid && report.exact.unwrap().valid,
            "{:?}\n{text}",
            report.findings
        );
    }
}

#[test]
fn business_rules_fire_in_cii() {
    let text = cii(RICH);
    let cases = [
        (
            "BR-19",
            "<ram:PostalTradeAddress><ram:CountryID>FR</ram:CountryID></ram:PostalTradeAddress><ram:SpecifiedTaxRegistration><ram:ID schemeID=\"VA\">FR",
            "<ram:SpecifiedTaxRegistration><ram:ID schemeID=\"VA\">FR",
        ),
        (
            "BR-20",
            "<ram:PostalTradeAddress><ram:CountryID>FR</ram:CountryID></ram:PostalTradeAddress><ram:SpecifiedTaxRegistration>",
            "<ram:PostalTradeAddress><ram:CityName>X</ram:CityName></ram:PostalTradeAddress><ram:SpecifiedTaxRegistration>",
        ),
        (
            "BR-31",
            "<ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>a<",
            "<ram:Reason>a<",
        ),
        ("BR-38", "<ram:Reason>c</ram:Reason>", ""),
        ("BR-CO-22", "<ram:Reason>c</ram:Reason>", ""),
        (
            "BR-41",
            "<ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>la<",
            "<ram:Reason>la<",
        ),
        ("BR-42", "<ram:Reason>la</ram:Reason>", ""),
        ("BR-CO-23", "<ram:Reason>la</ram:Reason>", ""),
        (
            "BR-43",
            "<ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>lc<",
            "<ram:Reason>lc<",
        ),
        ("BR-44", "<ram:Reason>lc</ram:Reason>", ""),
        ("BR-CO-24", "<ram:Reason>lc</ram:Reason>", ""),
        (
            "BR-51",
            "<ram:PayeePartyCreditorFinancialAccount>",
            "<ram:ApplicableTradeSettlementFinancialCard><ram:ID>12345678901</ram:ID></ram:ApplicableTradeSettlementFinancialCard><ram:PayeePartyCreditorFinancialAccount>",
        ),
        (
            "BR-53",
            "<ram:InvoiceCurrencyCode>",
            "<ram:TaxCurrencyCode>SEK</ram:TaxCurrencyCode><ram:InvoiceCurrencyCode>",
        ),
        ("BR-54", "<ram:Value>red</ram:Value>", ""),
        (
            "BR-CO-03",
            "<ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
            "<ram:TaxPointDate><udt:DateString format=\"102\">20261101</udt:DateString></ram:TaxPointDate><ram:DueDateTypeCode>5</ram:DueDateTypeCode><ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
        ),
        (
            "BR-CO-19",
            "<ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101</udt:DateTimeString></ram:StartDateTime><ram:EndDateTime><udt:DateTimeString format=\"102\">20261130</udt:DateTimeString></ram:EndDateTime>",
            "<ram:BillingSpecifiedPeriod>",
        ),
        (
            "BR-CO-20",
            "<ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261102</udt:DateTimeString></ram:StartDateTime><ram:EndDateTime><udt:DateTimeString format=\"102\">20261103</udt:DateTimeString></ram:EndDateTime>",
            "<ram:BillingSpecifiedPeriod>",
        ),
        (
            "BR-DEC-02",
            "<ram:BasisAmount>10.00</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>a<",
            "<ram:BasisAmount>10.001</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>a<",
        ),
        ("BR-DEC-06", "<ram:BasisAmount>20.00<", "<ram:BasisAmount>20.001<"),
        (
            "BR-DEC-15",
            "<ram:InvoiceCurrencyCode>",
            "<ram:TaxCurrencyCode>SEK</ram:TaxCurrencyCode><ram:InvoiceCurrencyCode>",
        ),
        ("BR-DEC-17", "<ram:RoundingAmount>0.02<", "<ram:RoundingAmount>0.021<"),
        (
            "BR-DEC-24",
            "<ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>la<",
            "<ram:ActualAmount>1.001</ram:ActualAmount><ram:Reason>la<",
        ),
        (
            "BR-DEC-25",
            "<ram:BasisAmount>10.00</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>la<",
            "<ram:BasisAmount>10.001</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>la<",
        ),
        (
            "BR-DEC-27",
            "<ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>lc<",
            "<ram:ActualAmount>1.001</ram:ActualAmount><ram:Reason>lc<",
        ),
        (
            "BR-DEC-28",
            "<ram:BasisAmount>10.00</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>lc<",
            "<ram:BasisAmount>10.001</ram:BasisAmount><ram:ActualAmount>1.00</ram:ActualAmount><ram:Reason>lc<",
        ),
    ];
    for (rule, from, to) in cases {
        breaks(&text, rule, from, to);
    }
}

#[test]
fn categories_without_a_taxable_seller_fire_in_cii() {
    let anonymous = RICH
        .replace("\"vatId\": \"DE123456789\", ", "")
        .replace("\"vatId\": \"FR12345678901\", ", "");
    for (code, kind) in [("L", "AF"), ("M", "AG"), ("E", "E"), ("G", "G"), ("Z", "Z")] {
        let of = |draft: &str| {
            cii(&draft.replace(
                "\"category\": \"S\", \"rate\": \"19\", \"reason\"",
                &format!("\"category\": \"{code}\", \"rate\": \"0\", \"reason\""),
            ))
        };
        for number in ["03", "04"] {
            let rule = format!("BR-{kind}-{number}");
            assert!(!fired(&of(RICH)).contains(&rule), "{rule}");
            assert!(
                fired(&of(&anonymous)).contains(&rule),
                "{rule}: {:?}",
                fired(&of(&anonymous))
            );
        }
    }
}

#[test]
fn code_lists_fire_in_cii() {
    let text = cii(RICH);
    let cases = [
        (
            "BR-CL-05",
            "<ram:InvoiceCurrencyCode>",
            "<ram:TaxCurrencyCode>XYZ</ram:TaxCurrencyCode><ram:InvoiceCurrencyCode>",
        ),
        (
            "BR-CL-06",
            "<ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
            "<ram:DueDateTypeCode>3</ram:DueDateTypeCode><ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
        ),
        ("BR-CL-07", "<ram:ReferenceTypeCode>AAA<", "<ram:ReferenceTypeCode>aaa<"),
        ("BR-CL-11", "schemeID=\"0002\"", "schemeID=\"9999\""),
        (
            "BR-CL-15",
            "<ram:OriginTradeCountry><ram:ID>DE<",
            "<ram:OriginTradeCountry><ram:ID>SS<",
        ),
        (
            "BR-CL-19",
            "<ram:Reason>a<",
            "<ram:ReasonCode>1</ram:ReasonCode><ram:Reason>a<",
        ),
        (
            "BR-CL-22",
            "<ram:CategoryCode>S</ram:CategoryCode><ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
            "<ram:CategoryCode>S</ram:CategoryCode><ram:ExemptionReasonCode>VATEX</ram:ExemptionReasonCode><ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
        ),
        (
            "BR-CL-24",
            "mimeCode=\"application/pdf\"",
            "mimeCode=\"application/xml\"",
        ),
        (
            "BR-CL-26",
            "<ram:GlobalID schemeID=\"0088\">",
            "<ram:GlobalID schemeID=\"88\">",
        ),
    ];
    for (rule, from, to) in cases {
        breaks(&text, rule, from, to);
    }
}

#[test]
fn syntax_rules_fire_in_cii() {
    let text = cii(RICH);
    let contract = "</ram:SpecifiedTaxRegistration></ram:SellerTaxRepresentativeTradeParty>";
    let reference = |inside: &str| {
        format!(
            "{contract}<ram:ContractReferencedDocument><ram:IssuerAssignedID>1</ram:IssuerAssignedID>{inside}</ram:ContractReferencedDocument>"
        )
    };
    for (rule, inside) in [
        ("CII-DT-015", "<ram:URIID>u</ram:URIID>"),
        ("CII-DT-018", "<ram:TypeCode>1</ram:TypeCode>"),
        ("CII-DT-021", "<ram:Name>n</ram:Name>"),
        (
            "CII-DT-022",
            "<ram:AttachmentBinaryObject mimeCode=\"text/csv\" filename=\"c\">QQ==</ram:AttachmentBinaryObject>",
        ),
        ("CII-DT-024", "<ram:ReferenceTypeCode>AAA</ram:ReferenceTypeCode>"),
        ("CII-DT-027", "<ram:FormattedIssueDateTime/>"),
    ] {
        breaks(&text, rule, contract, &reference(inside));
    }
    let line_tax = "<ram:ApplicableTradeTax><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S";
    let allowance_tax = "<ram:CategoryTradeTax><ram:TypeCode>VAT</ram:TypeCode>";
    let cases = [
        ("CII-DT-033", "unitCode=\"C62\">3<", ">3<"),
        (
            "CII-DT-041",
            line_tax,
            "<ram:ApplicableTradeTax><ram:BasisAmount>1</ram:BasisAmount><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S",
        ),
        (
            "CII-DT-052",
            allowance_tax,
            "<ram:CategoryTradeTax><ram:ExemptionReasonCode>VATEX-EU-G</ram:ExemptionReasonCode><ram:TypeCode>VAT</ram:TypeCode>",
        ),
        (
            "CII-DT-098",
            allowance_tax,
            "<ram:CategoryTradeTax><ram:ExemptionReason>r</ram:ExemptionReason><ram:TypeCode>VAT</ram:TypeCode>",
        ),
        (
            "CII-DT-054",
            line_tax,
            "<ram:ApplicableTradeTax><ram:TaxPointDate/><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S",
        ),
        (
            "CII-DT-058",
            line_tax,
            "<ram:ApplicableTradeTax><ram:DueDateTypeCode>5</ram:DueDateTypeCode><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S",
        ),
        (
            "CII-SR-090",
            "<ram:OriginTradeCountry><ram:ID>DE</ram:ID>",
            "<ram:OriginTradeCountry><ram:ID>DE</ram:ID><ram:ID>FR</ram:ID>",
        ),
        (
            "CII-SR-449",
            "<ram:GlobalID schemeID=\"0088\">",
            "<ram:ID>1</ram:ID><ram:GlobalID schemeID=\"0088\">",
        ),
        (
            "CII-SR-450",
            "<ram:ID>B-1</ram:ID>",
            "<ram:ID>B-1</ram:ID><ram:GlobalID schemeID=\"0088\">1</ram:GlobalID>",
        ),
        (
            "CII-SR-451",
            "<ram:ID>P-1</ram:ID>",
            "<ram:ID>P-1</ram:ID><ram:GlobalID schemeID=\"0088\">1</ram:GlobalID>",
        ),
        (
            "CII-SR-457",
            contract,
            &format!(
                "{contract}<ram:AdditionalReferencedDocument><ram:IssuerAssignedID>1</ram:IssuerAssignedID><ram:TypeCode>50</ram:TypeCode></ram:AdditionalReferencedDocument>"
            ),
        ),
        (
            "CII-SR-458",
            contract,
            &format!(
                "{contract}<ram:AdditionalReferencedDocument><ram:IssuerAssignedID>1</ram:IssuerAssignedID><ram:TypeCode>130</ram:TypeCode></ram:AdditionalReferencedDocument>"
            ),
        ),
        (
            "CII-SR-463",
            "<ram:ChargeIndicator><udt:Indicator>true</udt:Indicator></ram:ChargeIndicator>",
            "",
        ),
        (
            "CII-SR-465",
            "<ram:PersonName>Ann</ram:PersonName>",
            "<ram:PersonName>Ann</ram:PersonName><ram:DepartmentName>D</ram:DepartmentName>",
        ),
        (
            "CII-SR-466",
            "<ram:PersonName>Bob</ram:PersonName>",
            "<ram:PersonName>Bob</ram:PersonName><ram:DepartmentName>D</ram:DepartmentName>",
        ),
        ("CII-SR-468", "<ram:Information>transfer<", "<ram:Information>other<"),
        (
            "CII-SR-474",
            "<ram:AdditionalReferencedDocument><ram:IssuerAssignedID>L-1<",
            "<ram:AdditionalReferencedDocument><ram:TypeCode>130</ram:TypeCode></ram:AdditionalReferencedDocument><ram:AdditionalReferencedDocument><ram:IssuerAssignedID>L-1<",
        ),
    ];
    for (rule, from, to) in cases {
        breaks(&text, rule, from, to);
    }
    // Two rates, each with its own VAT point code; and two attachments in all, which is one too many.
    let point = "<ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101";
    let two = text.replacen(
        point,
        &format!("<ram:DueDateTypeCode>5</ram:DueDateTypeCode>{point}"),
        1,
    );
    let other = "<ram:ApplicableTradeTax><ram:CalculatedAmount>";
    breaks(
        &two,
        "CII-SR-462",
        other,
        "<ram:ApplicableTradeTax><ram:DueDateTypeCode>29</ram:DueDateTypeCode></ram:ApplicableTradeTax><ram:ApplicableTradeTax><ram:CalculatedAmount>",
    );
    assert!(fired(&text).contains(&"CII-SR-476".to_owned()));
    let last = text.rfind("<ram:AttachmentBinaryObject").unwrap();
    let end =
        last + text[last..].find("</ram:AttachmentBinaryObject>").unwrap() + "</ram:AttachmentBinaryObject>".len();
    assert!(!fired(&format!("{}{}", &text[..last], &text[end..])).contains(&"CII-SR-476".to_owned()));
}

#[test]
fn german_rules_fire_in_cii() {
    let xrechnung = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0";
    let text = cii(&RICH.replace("\"urn:cen.eu:en16931:2017\"", &format!("{xrechnung:?}")));
    let cases = [
        (
            "BR-DE-2",
            "<ram:DefinedTradeContact><ram:PersonName>Ann</ram:PersonName><ram:TelephoneUniversalCommunication><ram:CompleteNumber>12345</ram:CompleteNumber></ram:TelephoneUniversalCommunication><ram:EmailURIUniversalCommunication><ram:URIID>ann@example.org</ram:URIID></ram:EmailURIUniversalCommunication></ram:DefinedTradeContact>",
            "",
        ),
        ("BR-DE-6", "<ram:CompleteNumber>12345</ram:CompleteNumber>", ""),
        ("BR-DE-7", "<ram:URIID>ann@example.org</ram:URIID>", ""),
        ("BR-DE-9", "<ram:PostcodeCode>75001</ram:PostcodeCode>", ""),
        ("BR-DE-10", "<ram:CityName>Lyon</ram:CityName>", ""),
        (
            "BR-DE-14",
            "<ram:RateApplicablePercent>19</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
            "</ram:ApplicableTradeTax><ram:BillingSpecifiedPeriod><ram:StartDateTime><udt:DateTimeString format=\"102\">20261101",
        ),
        ("BR-DE-21", xrechnung, "urn:cen.eu:en16931:2017"),
        ("BR-DE-22", "filename=\"b.pdf\"", "filename=\"a.pdf\""),
        ("BR-DE-24-a", "<ram:TypeCode>58<", "<ram:TypeCode>48<"),
        ("BR-TMP-2", "https://example.org/1", "example"),
        (
            "PEPPOL-EN16931-R044",
            "<ram:AppliedTradeAllowanceCharge><ram:ChargeIndicator><udt:Indicator>false<",
            "<ram:AppliedTradeAllowanceCharge><ram:ChargeIndicator><udt:Indicator>true<",
        ),
    ];
    for (rule, from, to) in cases {
        breaks(&text, rule, from, to);
    }
    let unpaid = RICH.replace("\"payment\": { \"code\": \"58\", \"text\": \"transfer\", \"accounts\": [{ \"id\": \"DE75512108001245126199\" }, { \"id\": \"DE75512108001245126199\" }] },", "");
    assert!(fired(&cii(&unpaid)).contains(&"BR-DE-1".to_owned()) && !fired(&text).contains(&"BR-DE-1".to_owned()));
}

#[test]
fn rules_fire_in_ubl() {
    let text = ubl(RICH);
    let cases = [
        (
            "BR-CL-08",
            "<cbc:DocumentCurrencyCode>",
            "<cbc:Note>#XXX#text</cbc:Note><cbc:DocumentCurrencyCode>",
        ),
        (
            "BR-CL-08",
            "<cbc:DocumentCurrencyCode>",
            "<cbc:Note>#BMF#text</cbc:Note><cbc:DocumentCurrencyCode>",
        ),
        ("BR-CL-26", "schemeID=\"0088\"", "schemeID=\"88\""),
        (
            "BR-DEC-02",
            "<cbc:BaseAmount currencyID=\"EUR\">10.00</cbc:BaseAmount><cac:TaxCategory>",
            "<cbc:BaseAmount currencyID=\"EUR\">10.001</cbc:BaseAmount><cac:TaxCategory>",
        ),
        (
            "BR-DEC-24",
            "<cbc:AllowanceChargeReason>la</cbc:AllowanceChargeReason><cbc:MultiplierFactorNumeric>10</cbc:MultiplierFactorNumeric><cbc:Amount currencyID=\"EUR\">1.00<",
            "<cbc:AllowanceChargeReason>la</cbc:AllowanceChargeReason><cbc:MultiplierFactorNumeric>10</cbc:MultiplierFactorNumeric><cbc:Amount currencyID=\"EUR\">1.001<",
        ),
        (
            "BR-DEC-25",
            "<cbc:AllowanceChargeReason>la</cbc:AllowanceChargeReason><cbc:MultiplierFactorNumeric>10</cbc:MultiplierFactorNumeric><cbc:Amount currencyID=\"EUR\">1.00</cbc:Amount><cbc:BaseAmount currencyID=\"EUR\">10.00<",
            "<cbc:AllowanceChargeReason>la</cbc:AllowanceChargeReason><cbc:Amount currencyID=\"EUR\">1.00</cbc:Amount><cbc:BaseAmount currencyID=\"EUR\">10.001<",
        ),
        (
            "BR-DEC-28",
            "<cbc:AllowanceChargeReason>lc</cbc:AllowanceChargeReason><cbc:MultiplierFactorNumeric>10</cbc:MultiplierFactorNumeric><cbc:Amount currencyID=\"EUR\">1.00</cbc:Amount><cbc:BaseAmount currencyID=\"EUR\">10.00<",
            "<cbc:AllowanceChargeReason>lc</cbc:AllowanceChargeReason><cbc:Amount currencyID=\"EUR\">1.00</cbc:Amount><cbc:BaseAmount currencyID=\"EUR\">10.001<",
        ),
        (
            "UBL-CR-002",
            "<cbc:CustomizationID>",
            "<cbc:UBLVersionID>2.2</cbc:UBLVersionID><cbc:CustomizationID>",
        ),
        (
            "UBL-CR-412",
            "<cbc:PaymentMeansCode name=\"transfer\">58</cbc:PaymentMeansCode>",
            "<cbc:PaymentMeansCode name=\"transfer\">58</cbc:PaymentMeansCode><cbc:PaymentDueDate>2026-12-24</cbc:PaymentDueDate>",
        ),
        (
            "UBL-CR-666",
            "<cbc:DocumentTypeCode>130</cbc:DocumentTypeCode></cac:AdditionalDocumentReference>",
            "<cbc:DocumentTypeCode>130</cbc:DocumentTypeCode><cac:Attachment/></cac:AdditionalDocumentReference>",
        ),
        (
            "UBL-CR-673",
            "<cbc:DocumentTypeCode>130</cbc:DocumentTypeCode></cac:AdditionalDocumentReference>",
            "<cbc:DocumentTypeCode>130</cbc:DocumentTypeCode><cbc:DocumentDescription>d</cbc:DocumentDescription></cac:AdditionalDocumentReference>",
        ),
        ("UBL-DT-18", "<cbc:BuyerReference>", "<cbc:BuyerReference name=\"n\">"),
    ];
    for (rule, from, to) in cases {
        breaks(&text, rule, from, to);
    }
    let debit = RICH.replace(
        "\"text\": \"transfer\",",
        "\"debit\": { \"mandate\": \"M\", \"creditor\": \"C\", \"account\": \"DE75512108001245126199\" },",
    );
    breaks(
        &ubl(&debit),
        "BR-DE-31",
        "<cac:PayerFinancialAccount><cbc:ID>DE75512108001245126199</cbc:ID></cac:PayerFinancialAccount>",
        "",
    );
}
