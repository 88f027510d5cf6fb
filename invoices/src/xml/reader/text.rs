//! Texts and attribute values: ranges of the source where they can be, else pieces put together in a side buffer.

use quick_xml::events::BytesRef;

use super::super::Unreadable;
use super::super::encoding::{allowed, forbidden};
use super::super::tree::{SIDE, Text};
use super::Builder;

impl Builder<'_> {
    pub(super) fn attribute_value(&mut self, start: usize, written: &str, at: usize) -> Result<Text, Unreadable> {
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

    pub(super) fn text(&mut self, at: usize, length: usize) -> Result<(), Unreadable> {
        let Some(element) = self.leaf() else {
            let stray = self.open.is_empty() && !self.source[at..at + length].trim_ascii().is_empty();
            return if stray {
                Err(self.malformed(at, "there is text outside the root element"))
            } else {
                Ok(())
            };
        };
        let written = &self.source[at..at + length];
        if self.elements[element].text.length == 0 && !(self.returns && written.contains('\r')) {
            self.elements[element].text = Text {
                start: at as u32,
                length: length as u32,
            };
        } else {
            self.append(element, &written.replace("\r\n", "\n").replace('\r', "\n"));
        }
        Ok(())
    }

    pub(super) fn cdata(&mut self, start: usize, end: usize) -> Result<(), Unreadable> {
        if self.open.is_empty() {
            return Err(self.malformed(start, "there is text outside the root element"));
        }
        self.text(start, end.saturating_sub(start))
    }

    pub(super) fn reference(&mut self, reference: &BytesRef<'_>, at: usize) -> Result<(), Unreadable> {
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
        let id = self.open.last()?.id as usize;
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
