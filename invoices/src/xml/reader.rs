//! Source to tree. Plain markup is read here, all else is events of `quick-xml`. Everything that could cost more than
//! it shows is refused here.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::encoding::{decode, forbidden};
use super::names::{Name, Namespace};
use super::scan::{self, Next};
use super::tree::{Attribute, Document, Element, SIDE, Text};
use super::{Limits, Unreadable};

mod scope;
#[cfg(test)]
mod tests;
mod text;

use scope::Scope;

/// Reads a document.
///
/// # Errors
/// Not well-formed, a DTD or an entity in it, an encoding that is not read here, or larger than the limits.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, Unreadable> {
    if bytes.len() > limits.bytes.min(SIDE as usize - 1) {
        return Err(Unreadable::TooLarge {
            what: "bytes",
            limit: limits.bytes,
        });
    }
    parse(decode(bytes)?, limits, true)
}

/// Reads a text; `plain` lets plain markup be read here, otherwise the library reads all.
fn parse<'a>(source: Cow<'a, str>, limits: &Limits, plain: bool) -> Result<Document<'a>, Unreadable> {
    let mut builder = Builder::new(&source, limits, plain);
    if let Some(at) = forbidden(&source) {
        return Err(builder.malformed(at, "a control character stands here, which XML does not allow"));
    }
    builder.run()?;
    let Builder {
        side,
        elements,
        attributes,
        ..
    } = builder;
    Ok(Document::new(source, side, elements, attributes))
}

/// An element that is not closed yet.
#[derive(Clone, Copy)]
struct Open {
    id: u32,
    /// Where its name stands.
    name: u32,
    length: u32,
}

struct Builder<'s> {
    source: &'s str,
    limits: &'s Limits,
    side: String,
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    open: Vec<Open>,
    scope: Scope<'s>,
    /// Names of the attributes of the tag that is read, to find one that stands twice.
    named: Vec<&'s str>,
    /// The source has carriage returns, which texts must lose.
    returns: bool,
    plain: bool,
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, limits: &'s Limits, plain: bool) -> Self {
        // Room as dense invoices need it; what is not used is never touched.
        let room = (source.len() / 32).min(limits.elements) + 16;
        Self {
            source,
            limits,
            side: String::new(),
            elements: Vec::with_capacity(room),
            attributes: Vec::with_capacity(room / 8),
            open: Vec::with_capacity(16),
            scope: Scope::new(),
            named: Vec::new(),
            returns: memchr::memchr(b'\r', source.as_bytes()).is_some(),
            plain,
        }
    }

    fn line(&self, at: usize) -> u32 {
        1 + memchr::memchr_iter(b'\n', &self.source.as_bytes()[..at.min(self.source.len())]).count() as u32
    }

    fn malformed(&self, at: usize, reason: impl ToString) -> Unreadable {
        Unreadable::Malformed {
            line: self.line(at),
            reason: reason.to_string(),
        }
    }

    fn run(&mut self) -> Result<(), Unreadable> {
        let bytes = self.source.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let plain = match (byte, bytes.get(at + 1)) {
                (b'<', Some(b'/')) if self.plain => self.plain_end(at),
                (b'<', _) if self.plain => self.plain_start(at)?,
                (b'<' | b'&', _) => None,
                _ => {
                    let length = memchr::memchr2(b'<', b'&', &bytes[at..]).unwrap_or(bytes.len() - at);
                    self.text(at, length)?;
                    Some(at + length)
                }
            };
            at = match plain {
                Some(next) => next,
                None => self.event(at)?,
            };
        }
        if self.elements.is_empty() {
            return Err(self.malformed(at, "there is no root element"));
        }
        if !self.open.is_empty() {
            return Err(self.malformed(at, "an element is not closed"));
        }
        Ok(())
    }

    /// Reads a start tag if it is plain. The answer is where it ends.
    fn plain_start(&mut self, at: usize) -> Result<Option<usize>, Unreadable> {
        let bytes = self.source.as_bytes();
        let Some(opened) = scan::opened(bytes, at) else {
            return Ok(None);
        };
        self.may_open(at)?;
        let first = self.attributes.len();
        self.named.clear();
        let mut place = opened.end;
        let (next, empty) = loop {
            match scan::next(bytes, place) {
                Some(Next::Open(next)) => break (next, false),
                Some(Next::Empty(next)) => break (next, true),
                Some(Next::Attribute {
                    start,
                    name,
                    value,
                    end,
                }) => {
                    self.attribute(&self.source[start..name], value, &self.source[value..end], at)?;
                    place = end + 1;
                }
                None => {
                    // Read again by the library, from the start.
                    self.attributes.truncate(first);
                    self.scope.leave(self.open.len());
                    return Ok(None);
                }
            }
        };
        self.element(at, opened.end, Some(opened.hash), first)?;
        if empty {
            self.end();
        }
        Ok(Some(next))
    }

    /// Reads an end tag if it is plain and of the element that is open. The answer is where it ends.
    fn plain_end(&mut self, at: usize) -> Option<usize> {
        let open = *self.open.last()?;
        let source = self.source.as_bytes();
        let name = &source[open.name as usize..(open.name + open.length) as usize];
        let rest = source.get(at + 2..)?.strip_prefix(name)?;
        if rest.first() != Some(&b'>') {
            return None;
        }
        self.end();
        Some(at + 3 + name.len())
    }

    /// Reads what is not plain. The answer is where it ends.
    fn event(&mut self, at: usize) -> Result<usize, Unreadable> {
        let mut reader = Reader::from_str(&self.source[at..]);
        reader.config_mut().check_comments = true;
        reader.config_mut().allow_unmatched_ends = true;
        let event = reader
            .read_event()
            .map_err(|error| self.malformed(at + reader.error_position() as usize, error))?;
        let next = at + reader.buffer_position() as usize;
        match event {
            Event::Start(tag) => self.start(&tag, at)?,
            Event::Empty(tag) => {
                self.start(&tag, at)?;
                self.end();
            }
            Event::End(tag) => self.close(tag.name().as_ref(), at)?,
            Event::Text(text) => self.text(at, text.len())?,
            // The marks around the text are nine and three bytes long.
            Event::CData(_) => self.cdata(at + 9, next - 3)?,
            Event::GeneralRef(reference) => self.reference(&reference, at)?,
            Event::DocType(_) => return Err(Unreadable::Doctype { line: self.line(at) }),
            Event::Decl(_) if at > 0 => {
                return Err(self.malformed(at, "an XML declaration stands in the middle of the document"));
            }
            Event::Eof => return Err(self.malformed(at, "the document ends in the middle of markup")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
        Ok(next)
    }

    /// Whether there may be an element more.
    fn may_open(&self, at: usize) -> Result<(), Unreadable> {
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err(self.malformed(at, "there is a second root element"));
        }
        if self.open.len() >= self.limits.depth {
            return Err(Unreadable::TooLarge {
                what: "elements inside each other",
                limit: self.limits.depth,
            });
        }
        if self.elements.len() >= self.limits.elements {
            return Err(Unreadable::TooLarge {
                what: "elements",
                limit: self.limits.elements,
            });
        }
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), Unreadable> {
        self.may_open(at)?;
        let first = self.attributes.len();
        self.named.clear();
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.malformed(at, error))?;
            let (name, value) = (attribute.key.as_ref(), &*attribute.value);
            let (start, written) = self.place(value);
            let name = self.place(name).1;
            if written.contains('<') {
                return Err(self.malformed(at, format!("a < stands in the value of {name}; write &lt;")));
            }
            self.attribute(name, start, written, at)?;
        }
        self.element(at, at + 1 + tag.name().as_ref().len(), None, first)
    }

    /// Adds an element, whose name ends there and whose attributes are read.
    fn element(&mut self, at: usize, end: usize, hash: Option<u64>, first: usize) -> Result<(), Unreadable> {
        let written = &self.source[at + 1..end];
        let name = match self.scope.name(written, hash) {
            Ok(name) => name,
            Err(prefix) => return Err(self.malformed(at, format!("the prefix {prefix} is not declared"))),
        };
        let id = self.elements.len() as u32;
        if self.elements.len() == self.elements.capacity() {
            // Twice as many, but not more than there may be: doubling at the end would take half a gigabyte for nothing.
            let left = self.limits.elements - self.elements.len();
            self.elements.reserve_exact(self.elements.len().clamp(1, left.max(1)));
        }
        self.elements.push(Element {
            name,
            attributes: (self.attributes.len() - first) as u16,
            first_attribute: first as u32,
            parent: self.open.last().map_or(0, |open| open.id),
            end: id + 1,
            position: at as u32,
            text: Text::default(),
        });
        self.open.push(Open {
            id,
            name: at as u32 + 1,
            length: written.len() as u32,
        });
        Ok(())
    }

    /// Namespace declarations, and attributes without a prefix; others mean nothing to any rule.
    fn attribute(&mut self, name: &'s str, start: usize, written: &'s str, at: usize) -> Result<(), Unreadable> {
        if self.named.len() >= self.limits.attributes {
            return Err(Unreadable::TooLarge {
                what: "attributes of one element",
                limit: self.limits.attributes,
            });
        }
        if self.named.contains(&name) {
            return Err(self.malformed(at, format!("the attribute {name} stands twice")));
        }
        self.named.push(name);
        if name == "xmlns" {
            self.declare("", written)?;
        } else if let Some(prefix) = name.strip_prefix("xmlns:") {
            self.declare(prefix, written)?;
        } else if !name.contains(':') {
            let name = Name::of(Namespace::Attribute, name);
            let value = self.attribute_value(start, written, at)?;
            self.attributes.push(Attribute { name, value });
        }
        Ok(())
    }

    /// A namespace declaration. Each name may have to be looked up among all that are in force, so those are bounded.
    fn declare(&mut self, prefix: &'s str, address: &str) -> Result<(), Unreadable> {
        if self.scope.in_force() >= self.limits.attributes {
            return Err(Unreadable::TooLarge {
                what: "namespace declarations inside each other",
                limit: self.limits.attributes,
            });
        }
        self.scope.declare(prefix, Namespace::of(address), self.open.len());
        Ok(())
    }

    /// Where a piece of an event stands in the source, which it borrows from.
    fn place(&self, piece: &str) -> (usize, &'s str) {
        let start = (piece.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        let end = start.saturating_add(piece.len());
        self.source.get(start..end).map_or((0, ""), |piece| (start, piece))
    }

    fn end(&mut self) {
        if let Some(open) = self.open.pop() {
            self.elements[open.id as usize].end = self.elements.len() as u32;
            self.scope.leave(self.open.len());
        }
    }

    /// An end tag that is not plain, or not of the element that is open.
    fn close(&mut self, name: &str, at: usize) -> Result<(), Unreadable> {
        let Some(open) = self.open.last() else {
            return Err(self.malformed(at, format!("</{name}> closes nothing")));
        };
        let expected = &self.source[open.name as usize..(open.name + open.length) as usize];
        if name != expected {
            return Err(self.malformed(at, format!("</{name}> stands where </{expected}> must")));
        }
        self.end();
        Ok(())
    }
}
