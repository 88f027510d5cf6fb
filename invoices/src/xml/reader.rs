//! Events of quick-xml into the tree. Everything that could cost more than it shows is refused here.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::encoding::{allowed, decode, forbidden};
use super::names::{Name, Namespace};
use super::tree::{Attribute, Document, Element, SIDE, Text};
use super::{Limits, Unreadable};

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
    let source = decode(bytes)?;
    let mut builder = Builder::new(&source, limits);
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

/// A prefix and what it stands for from some depth on.
struct Binding<'s> {
    prefix: &'s str,
    namespace: Namespace,
    depth: usize,
}

struct Builder<'s> {
    source: &'s str,
    limits: &'s Limits,
    side: String,
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    open: Vec<u32>,
    bindings: Vec<Binding<'s>>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, limits: &'s Limits) -> Self {
        // Room as dense invoices need it; what is not used is never touched.
        let room = (source.len() / 32).min(limits.elements) + 16;
        Self {
            source,
            limits,
            side: String::new(),
            elements: Vec::with_capacity(room),
            attributes: Vec::with_capacity(room / 8),
            open: Vec::with_capacity(16),
            bindings: Vec::new(),
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
        let mut reader = Reader::from_str(self.source);
        reader.config_mut().check_comments = true;
        loop {
            let at = reader.buffer_position() as usize;
            let event = reader
                .read_event()
                .map_err(|error| self.malformed(reader.error_position() as usize, error))?;
            match event {
                Event::Start(tag) => self.start(&tag, at)?,
                Event::Empty(tag) => {
                    self.start(&tag, at)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(at, text.len())?,
                Event::CData(_) => {
                    // The marks around the text are nine and three bytes long.
                    let end = reader.buffer_position() as usize - 3;
                    self.cdata(at + 9, end)?;
                }
                Event::GeneralRef(reference) => self.reference(&reference, at)?,
                Event::DocType(_) => return Err(Unreadable::Doctype { line: self.line(at) }),
                Event::Eof if self.elements.is_empty() => return Err(self.malformed(at, "there is no root element")),
                Event::Eof if !self.open.is_empty() => return Err(self.malformed(at, "an element is not closed")),
                Event::Eof => return Ok(()),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), Unreadable> {
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
        let first = self.attributes.len();
        if !tag.attributes_raw().trim_ascii().is_empty() {
            self.read_attributes(tag, at)?;
        }
        let name = tag.name();
        let written = name.as_ref();
        let (prefix, local) = match memchr::memchr(b':', written.as_bytes()) {
            Some(colon) => (&written[..colon], &written[colon + 1..]),
            None => ("", written),
        };
        let namespace = match self.bindings.iter().rev().find(|binding| binding.prefix == prefix) {
            Some(binding) => binding.namespace,
            None if prefix.is_empty() => Namespace::Other,
            None => return Err(self.malformed(at, format!("the prefix {prefix} is not declared"))),
        };
        let id = self.elements.len() as u32;
        self.elements.push(Element {
            name: Name::of(namespace, local),
            attributes: (self.attributes.len() - first) as u16,
            first_attribute: first as u32,
            parent: self.open.last().copied().unwrap_or(0),
            end: id + 1,
            position: at as u32,
            text: Text::default(),
        });
        self.open.push(id);
        Ok(())
    }

    /// Namespace declarations and attributes without a prefix; others mean nothing to any rule.
    fn read_attributes(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), Unreadable> {
        let first = self.attributes.len();
        for (number, attribute) in tag.attributes().with_checks(false).enumerate() {
            if number >= self.limits.attributes {
                return Err(Unreadable::TooLarge {
                    what: "attributes of one element",
                    limit: self.limits.attributes,
                });
            }
            let attribute = attribute.map_err(|error| self.malformed(at, error))?;
            let (name, value) = (attribute.key.as_ref(), &*attribute.value);
            let (start, written) = self.place(value);
            let prefix = if name == "xmlns" {
                Some("")
            } else {
                name.strip_prefix("xmlns:")
            };
            if let Some(prefix) = prefix {
                let prefix = self.place(prefix).1;
                let depth = self.open.len();
                self.bindings.push(Binding {
                    prefix,
                    namespace: Namespace::of(written),
                    depth,
                });
            } else if !name.contains(':') {
                let name = Name::of(Namespace::Attribute, name);
                let value = self.attribute_value(start, written, at)?;
                if self.attributes[first..]
                    .iter()
                    .any(|known| known.name == name && !name.local().is_empty())
                {
                    return Err(self.malformed(at, format!("the attribute {} stands twice", name.local())));
                }
                self.attributes.push(Attribute { name, value });
            }
        }
        Ok(())
    }

    /// Where a piece of an event stands in the source, which it borrows from.
    fn place(&self, piece: &str) -> (usize, &'s str) {
        let start = (piece.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        let end = start.saturating_add(piece.len());
        self.source.get(start..end).map_or((0, ""), |piece| (start, piece))
    }

    fn attribute_value(&mut self, start: usize, written: &str, at: usize) -> Result<Text, Unreadable> {
        if written
            .bytes()
            .all(|byte| !matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
        {
            return Ok(Text {
                start: start as u32,
                length: written.len() as u32,
            });
        }
        let value = quick_xml::escape::unescape(written).map_err(|error| self.malformed(at, error))?;
        if forbidden(&value).is_some() {
            return Err(self.malformed(at, "a control character is meant here, which XML does not allow"));
        }
        let from = self.side.len();
        self.side
            .push_str(&value.replace("\r\n", " ").replace(['\t', '\n', '\r'], " "));
        Ok(Text {
            start: from as u32 | SIDE,
            length: (self.side.len() - from) as u32,
        })
    }

    fn end(&mut self) {
        if let Some(id) = self.open.pop() {
            self.elements[id as usize].end = self.elements.len() as u32;
            let depth = self.open.len();
            while self.bindings.last().is_some_and(|binding| binding.depth >= depth) {
                self.bindings.pop();
            }
        }
    }

    fn text(&mut self, at: usize, length: usize) -> Result<(), Unreadable> {
        let Some(element) = self.leaf() else {
            let stray = self.open.is_empty() && !self.source[at..at + length].trim_ascii().is_empty();
            return if stray {
                Err(self.malformed(at, "there is text outside the root element"))
            } else {
                Ok(())
            };
        };
        let written = &self.source[at..at + length];
        if self.elements[element].text.length == 0 && memchr::memchr(b'\r', written.as_bytes()).is_none() {
            self.elements[element].text = Text {
                start: at as u32,
                length: length as u32,
            };
        } else {
            self.append(element, &written.replace("\r\n", "\n").replace('\r', "\n"));
        }
        Ok(())
    }

    fn cdata(&mut self, start: usize, end: usize) -> Result<(), Unreadable> {
        if self.open.is_empty() {
            return Err(self.malformed(start, "there is text outside the root element"));
        }
        self.text(start, end.saturating_sub(start))
    }

    fn reference(&mut self, reference: &BytesRef<'_>, at: usize) -> Result<(), Unreadable> {
        let character = reference
            .resolve_char_ref()
            .map_err(|error| self.malformed(at, error))?;
        let character = match (character, &**reference) {
            (Some(character), _) if allowed(character) => character,
            (Some(_), _) => {
                return Err(self.malformed(at, "a control character is meant here, which XML does not allow"));
            }
            (None, "lt") => '<',
            (None, "gt") => '>',
            (None, "amp") => '&',
            (None, "apos") => '\'',
            (None, "quot") => '"',
            (None, name) => {
                return Err(Unreadable::Entity {
                    line: self.line(at),
                    name: name.to_owned(),
                });
            }
        };
        if self.open.is_empty() {
            return Err(self.malformed(at, "there is text outside the root element"));
        }
        if let Some(element) = self.leaf() {
            self.append(element, character.encode_utf8(&mut [0; 4]));
        }
        Ok(())
    }

    /// The open element, as long as it has no children: text between children is not kept.
    fn leaf(&self) -> Option<usize> {
        let id = *self.open.last()? as usize;
        (id + 1 == self.elements.len()).then_some(id)
    }

    /// Adds to the text of an element; its text moves to the side buffer, where it can grow.
    fn append(&mut self, element: usize, piece: &str) {
        let text = self.elements[element].text;
        if text.start & SIDE == 0 || text.length == 0 {
            let start = self.side.len() as u32 | SIDE;
            let old = &self.source[text.start as usize..(text.start + text.length) as usize];
            self.side.push_str(old);
            self.elements[element].text.start = start;
        }
        self.side.push_str(piece);
        self.elements[element].text.length += piece.len() as u32;
    }
}
