//! Pages that a person can read. Owns what a page says; how it looks is the business of `html` and `pdf`.

mod font;
mod html;
mod page;
mod pdf;
mod xmp;

pub use html::html;
pub use pdf::{Pdf, PdfError, pdf};
