//! Electronic invoices by EN 16931: reads UBL 2.1 and UN/CEFACT CII D16B, judges them by the rules of the standard,
//! XRechnung and Peppol as strictly as the official artefacts do, converts, makes and renders them.
//!
//! Pure: bytes in, values out; no file, no network, no clock.

mod check;
mod codes;
mod dates;
mod engine;
mod exact;
mod form;
mod make;
pub mod model;
mod render;
mod rules;
mod syntax;
mod xml;

pub use check::{Options, Profile, Report, check, check_sets, check_with_model, rule_ids};
pub use codes::{type_codes, vat_categories};
pub use dates::{NoDate, dates, is_date};
pub use engine::{Finding, RuleText, Set, Severity, rule_text};
pub use exact::{Difference, Exact, exact};
pub use form::{json_schema, read_form, to_json};
pub use make::{MakeError, complete, fits_ubl, make};
pub use model::{Invoice, Problem, model, parse};
pub use render::{Pdf, PdfError, html, pdf};
pub use syntax::Syntax;
pub use xml::{Document, Limits, Name, Namespace, Node, Unreadable, read};
