//! Templates that ship with the product, as sources. They run on the engine like anyone's.

/// `notarization`, revision 1.
pub const NOTARIZATION: &str = include_str!("../templates/notarization.yaml");
/// `electronic-invoice`, revision 1.
pub const ELECTRONIC_INVOICE: &str = include_str!("../templates/electronic-invoice.yaml");
/// `traceability`, revision 1.
pub const TRACEABILITY: &str = include_str!("../templates/traceability.yaml");
/// `ballot`, revision 1.
pub const BALLOT: &str = include_str!("../templates/ballot.yaml");

/// All of them, by name and revision.
pub const SHIPPED: [(&str, u32, &str); 4] = [
    ("notarization", 1, NOTARIZATION),
    ("electronic-invoice", 1, ELECTRONIC_INVOICE),
    ("traceability", 1, TRACEABILITY),
    ("ballot", 1, BALLOT),
];
