//! Peppol's rules: no public case may be copied, so each is tried on an invoice of our own that breaks it.

use muniment_invoices::{Options, Profile, check, make};

use crate::make::DRAFT;

/// A valid invoice for Peppol from one country to another.
fn invoice(seller: &str, buyer: &str) -> String {
    let draft = DRAFT
        .replace(
            "\"specification\": \"urn:cen.eu:en16931:2017\",",
            "\"specification\": \"urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0\",\n\
             \"process\": \"urn:fdc:peppol.eu:2017:poacc:billing:01:1.0\", \"buyerReference\": \"R-1\",\n\
             \"period\": { \"start\": \"2026-11-01\", \"end\": \"2026-11-30\" },",
        )
        .replace(
            "\"vatId\": \"DE123456789\",",
            "\"vatId\": \"DE123456789\", \"addressId\": { \"id\": \"DE123456789\", \"scheme\": \"9930\" },",
        )
        .replace(
            "\"name\": \"Buyer\",",
            "\"name\": \"Buyer\", \"addressId\": { \"id\": \"FR1\", \"scheme\": \"9957\" },",
        )
        .replace("\"country\": \"DE\"", &format!("\"country\": \"{seller}\""))
        .replace("\"country\": \"FR\"", &format!("\"country\": \"{buyer}\""))
        .replace(
            "DE123456789",
            &format!("{}123456789", if seller == "GR" { "EL" } else { seller }),
        );
    make(draft.as_bytes()).unwrap().to_ubl()
}

fn fired(text: &str) -> Vec<String> {
    let report = check(
        text.as_bytes(),
        &Options {
            profile: Profile::Peppol,
            ..Options::default()
        },
    )
    .unwrap();
    report.findings.iter().map(|finding| finding.rule.to_string()).collect()
}

/// Breaks a document and wants the rule to fire that did not fire before.
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

#[test]
fn a_proper_invoice_passes() {
    assert_eq!(fired(&invoice("DE", "FR")), Vec::<String>::new());
}

#[test]
fn each_common_rule_fires() {
    let text = invoice("DE", "FR");
    let line_period = "<cac:InvoicePeriod><cbc:StartDate>2026-11-02</cbc:StartDate><cbc:EndDate>2026-11-03</cbc:EndDate></cac:InvoicePeriod><cac:Item>";
    let with_period = text.replacen("<cac:Item>", line_period, 1);
    let discount = "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:Amount currencyID=\"EUR\">0.50</cbc:Amount><cbc:BaseAmount currencyID=\"EUR\">13.00</cbc:BaseAmount></cac:AllowanceCharge>";
    let with_discount = text.replacen("</cbc:PriceAmount>", discount, 1);
    let cases: [(&str, &str, &str, &str); 33] = [
        (
            &text,
            "PEPPOL-EN16931-R001",
            "<cbc:ProfileID>urn:fdc:peppol.eu:2017:poacc:billing:01:1.0</cbc:ProfileID>",
            "",
        ),
        (&text, "PEPPOL-EN16931-R007", "billing:01:1.0", "billing:1"),
        (
            &text,
            "PEPPOL-EN16931-R002",
            "<cbc:DocumentCurrencyCode>",
            "<cbc:Note>a</cbc:Note><cbc:Note>b</cbc:Note><cbc:DocumentCurrencyCode>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R003",
            "<cbc:BuyerReference>R-1</cbc:BuyerReference>",
            "",
        ),
        (&text, "PEPPOL-EN16931-R004", "poacc:billing:3.0", "poacc:billing:2.0"),
        (
            &text,
            "PEPPOL-EN16931-R005",
            "</cbc:DocumentCurrencyCode>",
            "</cbc:DocumentCurrencyCode><cbc:TaxCurrencyCode>EUR</cbc:TaxCurrencyCode>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R008",
            "<cbc:BuyerReference>",
            "<cbc:AccountingCost></cbc:AccountingCost><cbc:BuyerReference>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R010",
            "<cbc:EndpointID schemeID=\"9957\">FR1</cbc:EndpointID>",
            "",
        ),
        (
            &text,
            "PEPPOL-EN16931-R020",
            "<cbc:EndpointID schemeID=\"9930\">DE123456789</cbc:EndpointID>",
            "",
        ),
        (
            &text,
            "PEPPOL-EN16931-R040",
            "<cbc:MultiplierFactorNumeric>5<",
            "<cbc:MultiplierFactorNumeric>6<",
        ),
        (
            &text,
            "PEPPOL-EN16931-R041",
            "<cbc:BaseAmount currencyID=\"EUR\">100.00</cbc:BaseAmount>",
            "",
        ),
        (
            &text,
            "PEPPOL-EN16931-R042",
            "<cbc:MultiplierFactorNumeric>5</cbc:MultiplierFactorNumeric>",
            "",
        ),
        (
            &text,
            "PEPPOL-EN16931-R043",
            "<cbc:ChargeIndicator>false<",
            "<cbc:ChargeIndicator>0<",
        ),
        (
            &with_discount,
            "PEPPOL-EN16931-R044",
            "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>false",
            "</cbc:PriceAmount><cac:AllowanceCharge><cbc:ChargeIndicator>true",
        ),
        (&with_discount, "PEPPOL-EN16931-R046", ">13.00<", ">14.00<"),
        (
            &text,
            "PEPPOL-EN16931-R051",
            "<cbc:PayableAmount currencyID=\"EUR\">",
            "<cbc:PayableAmount currencyID=\"SEK\">",
        ),
        (
            &text,
            "PEPPOL-EN16931-R053",
            "<cac:TaxSubtotal>",
            "</cac:TaxTotal><cac:TaxTotal><cac:TaxSubtotal><cbc:TaxAmount currencyID=\"EUR\">0</cbc:TaxAmount></cac:TaxSubtotal></cac:TaxTotal><cac:TaxTotal><cac:TaxSubtotal>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R054",
            "</cac:TaxTotal>",
            "</cac:TaxTotal><cac:TaxTotal><cbc:TaxAmount currencyID=\"EUR\">8.58</cbc:TaxAmount></cac:TaxTotal>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R061",
            "<cac:AllowanceCharge>",
            "<cac:PaymentMeans><cbc:PaymentMeansCode>59</cbc:PaymentMeansCode></cac:PaymentMeans><cac:AllowanceCharge>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R100",
            "<cac:Item>",
            "<cac:DocumentReference><cbc:ID>1</cbc:ID><cbc:DocumentTypeCode>130</cbc:DocumentTypeCode></cac:DocumentReference><cac:DocumentReference><cbc:ID>2</cbc:ID></cac:DocumentReference><cac:Item>",
        ),
        (
            &text,
            "PEPPOL-EN16931-R101",
            "<cac:Item>",
            "<cac:DocumentReference><cbc:ID>1</cbc:ID></cac:DocumentReference><cac:Item>",
        ),
        (&with_period, "PEPPOL-EN16931-R110", "2026-11-02", "2026-10-31"),
        (&with_period, "PEPPOL-EN16931-R111", "2026-11-03", "2026-12-01"),
        (&text, "PEPPOL-EN16931-R120", ">12.50<", ">12.60<"),
        (
            &text,
            "PEPPOL-EN16931-R121",
            "<cbc:BaseQuantity>100<",
            "<cbc:BaseQuantity>-100<",
        ),
        (
            &text,
            "PEPPOL-EN16931-R130",
            "<cbc:BaseQuantity>",
            "<cbc:BaseQuantity unitCode=\"KGM\">",
        ),
        (
            &text,
            "PEPPOL-EN16931-CL002",
            "<cbc:AllowanceChargeReason>Loyalty",
            "<cbc:AllowanceChargeReasonCode>1</cbc:AllowanceChargeReasonCode><cbc:AllowanceChargeReason>Loyalty",
        ),
        (
            &text,
            "PEPPOL-EN16931-CL003",
            "<cbc:AllowanceChargeReason>Cutting",
            "<cbc:AllowanceChargeReasonCode>1</cbc:AllowanceChargeReasonCode><cbc:AllowanceChargeReason>Cutting",
        ),
        (
            &text,
            "PEPPOL-EN16931-CL007",
            "currencyID=\"EUR\"",
            "currencyID=\"XCG\"",
        ),
        (&text, "PEPPOL-EN16931-CL008", "schemeID=\"9957\"", "schemeID=\"EM\""),
        (
            &text,
            "PEPPOL-EN16931-P0100",
            "<cbc:InvoiceTypeCode>380<",
            "<cbc:InvoiceTypeCode>389<",
        ),
        (
            &text,
            "PEPPOL-EN16931-P0112",
            "<cbc:InvoiceTypeCode>380<",
            "<cbc:InvoiceTypeCode>384<",
        ),
        (
            &text,
            "PEPPOL-EN16931-F001",
            "<cbc:DueDate>2026-12-24<",
            "<cbc:DueDate>2026-02-30<",
        ),
    ];
    for (text, rule, from, to) in cases {
        breaks(text, rule, from, to);
    }
}

#[test]
fn exemptions_go_with_their_category() {
    let text = invoice("DE", "FR");
    let reasons = [
        ("G", "P0104"),
        ("O", "P0105"),
        ("IC", "P0106"),
        ("AE", "P0107"),
        ("D", "P0108"),
        ("F", "P0109"),
        ("I", "P0110"),
        ("J", "P0111"),
    ];
    for (code, rule) in reasons {
        let reason = format!(
            "<cbc:TaxExemptionReasonCode>vatex-eu-{}</cbc:TaxExemptionReasonCode>",
            code.to_lowercase()
        );
        breaks(
            &text,
            &format!("PEPPOL-EN16931-{rule}"),
            "<cbc:Percent>7</cbc:Percent>",
            &format!("<cbc:Percent>7</cbc:Percent>{reason}"),
        );
    }
}

#[test]
fn identifiers_are_checked_by_their_scheme() {
    let cases = [
        ("0088", "R040", "4035811991021", "4035811991022"),
        ("0192", "R041", "974760673", "974760674"),
        ("0184", "R042", "DK12345678", "DK1234567X"),
        ("0208", "R043", "0202239951", "0202239952"),
        ("0201", "R044", "ABC123", "ABC12"),
        ("0210", "R045", "RSSMRA85T10A562S", "RSSMRA85T10A5621"),
        ("9907", "R046", "12345678903", "1234567890"),
        ("0211", "R047", "IT00743110157", "IT00743110158"),
        ("0007", "R049", "5560360793", "5560360794"),
        ("0151", "R050", "51824753556", "51824753557"),
    ];
    for (scheme, rule, good, bad) in cases {
        let rule = format!("PEPPOL-COMMON-{rule}");
        let text = invoice("DE", "FR").replace("schemeID=\"9957\">FR1", &format!("schemeID=\"{scheme}\">{good}"));
        breaks(&text, &rule, good, bad);
    }
}

#[test]
fn national_rules_apply_to_their_country_alone() {
    let legal = |text: &str, number: &str, scheme: &str| {
        let name = "</cbc:RegistrationName>";
        text.replacen(
            name,
            &format!("{name}<cbc:CompanyID schemeID=\"{scheme}\">{number}</cbc:CompanyID>"),
            1,
        )
    };
    let fires = |text: &str, rule: &str| {
        let found = fired(text);
        assert!(
            found.contains(&rule.to_owned()),
            "{rule} does not fire, but {found:?}\n{text}"
        );
    };
    for (country, rules) in [
        ("NO", &["NO-R-001", "NO-R-002"][..]),
        ("DK", &["DK-R-002"]),
        ("IT", &["IT-R-002"]),
        ("SE", &["SE-R-001", "SE-R-006"]),
        (
            "GR",
            &[
                "GR-R-001-1",
                "GR-R-001-2",
                "GR-R-002",
                "GR-R-003",
                "GR-R-004-1",
                "GR-S-008-1",
                "GR-R-009",
                "GR-R-005",
            ],
        ),
        ("IS", &["IS-R-002", "IS-R-003"]),
        ("NL", &["NL-R-002", "NL-R-007"]),
    ] {
        for rule in rules {
            fires(&invoice(country, "FR"), rule);
            assert!(!fired(&invoice("DE", "FR")).contains(&(*rule).to_owned()), "{rule}");
        }
    }
    let german = invoice("DE", "DE");
    for rule in ["DE-R-001", "DE-R-002", "DE-R-003"] {
        let gone = german.replace("<cbc:CityName>Berlin</cbc:CityName>", "");
        fires(&gone, rule);
    }
    assert!(!fired(&invoice("DE", "FR")).iter().any(|rule| rule.starts_with("DE-R")));
    let danish = legal(&invoice("DK", "DK"), "12345678", "0184");
    assert!(
        !fired(&danish).iter().any(|rule| rule.starts_with("DK-R")),
        "{:?}",
        fired(&danish)
    );
    breaks(&danish, "DK-R-014", "schemeID=\"0184\"", "schemeID=\"0088\"");
    let pays = |code: &str, payment: &str| {
        danish.replacen("<cac:AllowanceCharge>", &format!("<cac:PaymentMeans><cbc:PaymentMeansCode>{code}</cbc:PaymentMeansCode><cbc:PaymentID>{payment}</cbc:PaymentID></cac:PaymentMeans><cac:AllowanceCharge>"), 1)
    };
    for (rule, code, payment) in [
        ("DK-R-005", "2", "1"),
        ("DK-R-006", "31", "1"),
        ("DK-R-007", "49", "1"),
        ("DK-R-008", "50", "01#"),
        ("DK-R-009", "50", "04#1"),
        ("DK-R-010", "93", "71#"),
        ("DK-R-011", "93", "71#1"),
    ] {
        fires(&pays(code, payment), rule);
    }
    let swedish = legal(&invoice("SE", "SE"), "5560360793", "0007")
        .replace("SE123456789", "SE556036079301")
        .replace(">19<", ">25<")
        .replace(">7<", ">6<");
    assert!(
        !fired(&swedish).iter().any(|rule| rule.starts_with("SE-R")),
        "{:?}",
        fired(&swedish)
    );
    breaks(&swedish, "SE-R-013", "\"0007\">5560360793", "\"0007\">5560360794");
    breaks(&swedish, "SE-R-004", "\"0007\">5560360793", "\"0007\">556036079");
    breaks(&swedish, "SE-R-003", "\"0007\">5560360793", "\"0007\">556036079X");
    breaks(
        &swedish,
        "SE-R-002",
        "SE556036079301</cbc:CompanyID>",
        "SE55603607930X</cbc:CompanyID>",
    );
    let dutch = legal(&invoice("NL", "NL"), "12345678", "0106");
    breaks(&dutch, "NL-R-003", "schemeID=\"0106\"", "schemeID=\"0088\"");
    fires(&dutch, "NL-R-004");
    let iceland = legal(&invoice("IS", "IS"), "1234567890", "0196");
    breaks(&iceland, "IS-R-002", "schemeID=\"0196\"", "schemeID=\"0088\"");
    fires(&iceland, "IS-R-004");
}

#[test]
fn cii_has_the_common_rules() {
    let draft = DRAFT.replace("\"country\": \"FR\"", "\"country\": \"DE\"");
    let report = check(
        make(draft.as_bytes()).unwrap().to_cii().as_bytes(),
        &Options {
            profile: Profile::Peppol,
            ..Options::default()
        },
    )
    .unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| finding.rule.to_string()).collect();
    for rule in ["R001", "R003", "R004", "R007", "R010", "R020"] {
        assert!(found.contains(&format!("PEPPOL-EN16931-{rule}")), "{rule}: {found:?}");
    }
}
