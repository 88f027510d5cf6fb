//! The metadata that make a PDF/A-3 a Factur-X (ZUGFeRD) invoice. krilla writes the metadata of PDF/A and has no way to
//! add to them. So room is reserved in the description of the document and filled afterwards: the packet keeps its
//! length, which is what XMP has padding for, and nothing else in the file moves.

use memchr::memmem;

/// The description that stays.
const SUBJECT: &str = "Electronic invoice with its XML";

/// What reserves the room.
const ROOM: usize = 2_400;

/// Namespace of Factur-X 1.0 and ZUGFeRD 2.
const NAMESPACE: &str = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#";

/// Properties of it, with what PDF/A wants said about each.
const PROPERTIES: [(&str, &str); 4] = [
    ("DocumentType", "kind of the business document"),
    ("DocumentFileName", "name of the attached XML file"),
    ("Version", "version of the XML schema"),
    ("ConformanceLevel", "profile of the XML file"),
];

/// How the attached XML is called, and its profile.
#[derive(Clone, Copy)]
pub(super) struct Attached {
    pub file_name: &'static str,
    pub level: &'static str,
}

fn filler() -> String {
    format!(" {}", "x".repeat(ROOM))
}

/// The description that reserves the room.
pub(super) fn description() -> String {
    SUBJECT.to_owned() + &filler()
}

/// Fills the room. `None` if the PDF is not built as expected.
pub(super) fn fill(pdf: &mut [u8], attached: Attached) -> Option<()> {
    let start = memmem::rfind(pdf, b"<?xpacket begin")?;
    let end = start + memmem::find(&pdf[start..], b"<?xpacket end")?;
    let packet = packet(std::str::from_utf8(&pdf[start..end]).ok()?, attached)?;
    replace(&mut pdf[start..end], packet.as_bytes())?;
    // The same description stands in the information dictionary, where white space may follow it.
    let reserved = format!("({})", description());
    let at = memmem::find(pdf, reserved.as_bytes())?;
    replace(&mut pdf[at..at + reserved.len()], format!("({SUBJECT})").as_bytes())
}

/// Overwrites with something that is not longer, and with spaces.
fn replace(place: &mut [u8], new: &[u8]) -> Option<()> {
    let (head, rest) = place.split_at_mut_checked(new.len())?;
    head.copy_from_slice(new);
    rest.fill(b' ');
    Some(())
}

fn packet(packet: &str, attached: Attached) -> Option<String> {
    let (before, after) = packet.split_once(&filler())?;
    let (schemas, rest) = after.split_once("</rdf:Bag></pdfaExtension:schemas>")?;
    let (properties, rest) = rest.split_once("</rdf:RDF>")?;
    let Attached { file_name, level } = attached;
    Some(format!(
        "{before}{schemas}{}</rdf:Bag></pdfaExtension:schemas>{properties}\
         <rdf:Description rdf:about=\"\" xmlns:fx=\"{NAMESPACE}\"><fx:DocumentType>INVOICE</fx:DocumentType>\
         <fx:DocumentFileName>{file_name}</fx:DocumentFileName><fx:Version>1.0</fx:Version>\
         <fx:ConformanceLevel>{level}</fx:ConformanceLevel></rdf:Description></rdf:RDF>{rest}",
        schema()
    ))
}

/// The description of the namespace.
fn schema() -> String {
    let properties: String = PROPERTIES
        .iter()
        .map(|(name, about)| {
            format!(
                "<rdf:li rdf:parseType=\"Resource\"><pdfaProperty:name>{name}</pdfaProperty:name>\
                 <pdfaProperty:valueType>Text</pdfaProperty:valueType>\
                 <pdfaProperty:category>external</pdfaProperty:category>\
                 <pdfaProperty:description>{about}</pdfaProperty:description></rdf:li>"
            )
        })
        .collect();
    format!(
        "<rdf:li rdf:parseType=\"Resource\"><pdfaSchema:schema>Factur-X</pdfaSchema:schema>\
         <pdfaSchema:namespaceURI>{NAMESPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>\
         <pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )
}
