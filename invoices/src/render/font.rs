//! The fonts of the PDF: which glyph shows a character, how wide a text is, and where it breaks into lines.
//!
//! Glyph by glyph from left to right: Latin, Greek and Cyrillic look right, scripts that need shaping do not.

use std::borrow::Cow;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider, charmap::Charmap};

/// Stands for what the font has no glyph for; the text that a reader copies stays right.
const UNKNOWN: char = '\u{FFFD}';

/// One face.
pub(super) struct Face {
    pub font: Font,
    characters: Charmap<'static>,
    widths: GlyphMetrics<'static>,
    /// Units of a font to the size of its letters.
    scale: f32,
}

impl Face {
    /// A face of the bytes of a font; `None` if they are none.
    pub fn new(bytes: &'static [u8]) -> Option<Self> {
        let face = FontRef::new(bytes).ok()?;
        let font = Font::new(bytes.into(), 0)?;
        Some(Self {
            scale: 1.0 / font.units_per_em(),
            font,
            characters: face.charmap(),
            widths: face.glyph_metrics(Size::unscaled(), LocationRef::default()),
        })
    }

    /// Its glyph and how far it reaches at size 1.
    fn glyph(&self, character: char) -> (u32, f32) {
        let known = self.characters.map(character).or_else(|| self.characters.map(UNKNOWN));
        let glyph = known.unwrap_or_default();
        (
            glyph.to_u32(),
            self.widths.advance_width(glyph).unwrap_or_default() * self.scale,
        )
    }

    /// The glyphs of one line.
    pub fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let shown = text.char_indices().map(|(at, character)| {
            let (glyph, width) = self.glyph(character);
            let range = at..at + character.len_utf8();
            KrillaGlyph::new(GlyphId::new(glyph), width, 0.0, 0.0, 0.0, range, None)
        });
        shown.collect()
    }

    /// How wide a text is.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.glyph(character).1).sum::<f32>() * size
    }

    /// A text in lines that are not wider than `room`: broken between words where that is possible.
    pub fn broken(&self, text: &str, size: f32, room: f32) -> Vec<String> {
        let text = plain(text);
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
                let longer = if line.is_empty() {
                    word.to_owned()
                } else {
                    format!("{line} {word}")
                };
                if self.width(&longer, size) <= room {
                    line = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                line = self.pieces(word, size, room, &mut lines);
            }
            lines.push(line);
        }
        lines
    }

    /// Cuts a word that is wider than a line; answers its last piece.
    fn pieces(&self, word: &str, size: f32, room: f32, lines: &mut Vec<String>) -> String {
        let (mut piece, mut wide) = (String::new(), 0.0);
        for character in word.chars() {
            let width = self.glyph(character).1 * size;
            if wide + width > room && !piece.is_empty() {
                lines.push(std::mem::take(&mut piece));
                wide = 0.0;
            }
            piece.push(character);
            wide += width;
        }
        piece
    }
}

/// Without control characters, which have no glyph, except for line breaks.
fn plain(text: &str) -> Cow<'_, str> {
    if text
        .chars()
        .any(|character| character.is_control() && character != '\n')
    {
        let shown = text.chars().filter(|character| *character != '\r');
        return Cow::Owned(
            shown
                .map(|one| if one.is_control() && one != '\n' { ' ' } else { one })
                .collect(),
        );
    }
    Cow::Borrowed(text)
}
