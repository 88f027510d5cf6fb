//! Templates that ship with the product, as sources. They run on the engine like anyone's.

/// `notarization`, revision 1.
pub const NOTARIZATION: &str = include_str!("../templates/notarization.yaml");
/// `electronic-invoice`, revision 1.
pub const ELECTRONIC_INVOICE: &str = include_str!("../templates/electronic-invoice.yaml");
