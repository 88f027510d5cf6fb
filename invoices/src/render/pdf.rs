//! The page as PDF/A-3b, with the invoice as CII in it: a hybrid after Factur-X and ZUGFeRD.

mod layout;

use krilla::color::rgb;
use krilla::configure::ConfigurationBuilder;
use krilla::configure::validate::Archival;
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::{Path, PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};
use qrcodegen::QrCode;

use super::page::Page;
use super::xmp::{self, Attached};
use crate::check::{Options, check};
use crate::engine::Severity;
use crate::model::Invoice;
use crate::syntax::Syntax;
use layout::{Faces, Mark, Sheet};

/// A PDF.
pub struct Pdf {
    /// The file.
    pub bytes: Vec<u8>,
    /// Why there is no XML in it; absent if there is.
    pub plain: Option<String>,
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// The fonts of the program can't be used.
    #[error("the fonts of the PDF can't be read")]
    Fonts,
    /// What the invoice says breaks a rule of PDF/A.
    #[error("the page can't be written as PDF/A: {0}")]
    Refused(String),
    /// The library writes metadata in another way than it did.
    #[error("the metadata of the PDF can't be completed")]
    Metadata,
}

impl PdfError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Refused(_) => "look for odd characters in the texts of the invoice, or render it as HTML",
            Self::Fonts | Self::Metadata => "report this as a bug; rendering as HTML works",
        }
    }
}

/// The PDF of an invoice; `receipt` is shown as a QR code. The XML in it is `original`, byte for byte, if that is CII,
/// and otherwise made out of the model; none that breaks a rule of the standard is put in.
///
/// # Errors
/// The texts of the invoice can't be shown in a PDF/A.
pub fn pdf(invoice: &Invoice, original: Option<&[u8]>, receipt: Option<&str>) -> Result<Pdf, PdfError> {
    let faces = Faces::new().ok_or(PdfError::Fonts)?;
    let settings = SerializeSettings {
        configuration: ConfigurationBuilder::new()
            .with_archival_validator(Archival::A3_B)
            .finish()
            .map_err(|error| refused(&error))?,
        ..SerializeSettings::default()
    };
    let mut document = Document::new_with(settings);
    let page = Page::of(invoice, receipt);
    for sheet in layout::sheets(&page, &faces) {
        draw(&mut document, &sheet, &faces);
    }
    let date = date(&invoice.issue_date);
    let (attached, plain) = match xml(invoice, original) {
        Ok(xml) => (attach(&mut document, invoice, xml, date), None),
        Err(reason) => (None, Some(reason)),
    };
    document.set_metadata(metadata(&page.title, invoice, attached.is_some(), date));
    let mut bytes = document.finish().map_err(|error| refused(&error))?;
    if let Some(attached) = attached {
        xmp::fill(&mut bytes, attached).ok_or(PdfError::Metadata)?;
    }
    Ok(Pdf { bytes, plain })
}

fn refused(error: &impl std::fmt::Debug) -> PdfError {
    PdfError::Refused(shortened(&format!("{error:?}")))
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The invoice as CII, or why there is none.
fn xml(invoice: &Invoice, original: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let options = Options {
        exact: false,
        ..Options::default()
    };
    let given = original.and_then(|bytes| Some((bytes, check(bytes, &options).ok()?)));
    let (xml, report) = match given {
        Some((bytes, report)) if report.syntax == Syntax::Cii => (bytes.to_vec(), report),
        _ => {
            let xml = invoice.to_cii().into_bytes();
            let report = check(&xml, &options).map_err(|error| error.to_string())?;
            (xml, report)
        }
    };
    match report
        .findings
        .iter()
        .find(|finding| finding.severity == Severity::Fatal)
    {
        None => Ok(xml),
        Some(finding) => Err(format!("as CII it breaks {}: {}", finding.rule, finding.message)),
    }
}

/// Puts the XML in. XRechnung has a profile and a file name of its own.
fn attach(document: &mut Document, invoice: &Invoice, xml: Vec<u8>, date: DateTime) -> Option<Attached> {
    let attached = if invoice.specification.contains("xrechnung") {
        Attached {
            file_name: "xrechnung.xml",
            level: "XRECHNUNG",
        }
    } else {
        Attached {
            file_name: "factur-x.xml",
            level: "EN 16931",
        }
    };
    document.embed_file(EmbeddedFile {
        path: attached.file_name.to_owned(),
        mime_type: MimeType::new("text/xml"),
        description: Some("The invoice as UN/CEFACT CII".to_owned()),
        association_kind: AssociationKind::Alternative,
        data: xml.into(),
        modification_date: Some(date),
        compress: Some(true),
        location: None,
    })?;
    Some(attached)
}

fn metadata(title: &str, invoice: &Invoice, hybrid: bool, date: DateTime) -> Metadata {
    let metadata = Metadata::new()
        .title(shortened(title))
        .authors(vec![shortened(&invoice.seller.name)])
        .creator("Muniment".to_owned())
        .language("en".to_owned())
        .creation_date(date);
    if hybrid {
        metadata.description(xmp::description())
    } else {
        metadata
    }
}

/// The issue date, so that an invoice always makes the same file. PDF/A wants some date.
fn date(text: &str) -> DateTime {
    let mut parts = text.split('-').map(|part| part.parse::<u16>().ok());
    let mut next = || parts.next().flatten();
    let year = next().unwrap_or(1970);
    let (month, day) = (next().unwrap_or(1), next().unwrap_or(1));
    let small = |part: u16| u8::try_from(part).unwrap_or(1);
    DateTime::new(year)
        .month(small(month))
        .day(small(day))
        .hour(0)
        .minute(0)
        .second(0)
        .utc_offset_hour(0)
}

fn draw(document: &mut Document, sheet: &Sheet, faces: &Faces) {
    let Some(settings) = PageSettings::from_wh(layout::WIDTH, layout::HEIGHT) else {
        return;
    };
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    for mark in sheet {
        match mark {
            Mark::Text { x, y, style, text } => {
                fill(&mut surface, style.gray);
                let face = faces.face(*style);
                let start = Point::from_xy(*x, *y);
                surface.draw_glyphs(start, &face.glyphs(text), face.font.clone(), text, style.size, false);
            }
            Mark::Rule { y, gray } => {
                fill(&mut surface, *gray);
                let rule = Rect::from_xywh(layout::MARGIN, *y, layout::ROOM, 0.5);
                if let Some(path) = rule.and_then(|rule| rectangles([rule])) {
                    surface.draw_path(&path);
                }
            }
            Mark::Code { y, code } => {
                fill(&mut surface, 0);
                if let Some(path) = modules(code, layout::MARGIN, *y) {
                    surface.draw_path(&path);
                }
            }
        }
    }
    surface.finish();
    page.finish();
}

fn fill(surface: &mut Surface<'_>, gray: u8) {
    surface.set_fill(Some(Fill {
        paint: rgb::Color::new(gray, gray, gray).into(),
        opacity: NormalizedF32::ONE,
        rule: Default::default(),
    }));
}

fn rectangles(all: impl IntoIterator<Item = Rect>) -> Option<Path> {
    let mut path = PathBuilder::new();
    for one in all {
        path.push_rect(one);
    }
    path.finish()
}

/// The dark squares of a QR code.
fn modules(code: &QrCode, x: f32, y: f32) -> Option<Path> {
    let size = code.size();
    let side = layout::CODE / size as f32;
    let dark = (0..size).flat_map(|row| (0..size).map(move |column| (column, row)));
    let squares = dark
        .filter(|(column, row)| code.get_module(*column, *row))
        .filter_map(|(column, row)| Rect::from_xywh(x + column as f32 * side, y + row as f32 * side, side, side));
    rectangles(squares)
}
