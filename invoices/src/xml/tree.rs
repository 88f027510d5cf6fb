//! The tree: elements in document order in one vector, text as ranges of the source. No allocation per element.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use super::{Name, Node};

/// One element. Its first child is the next entry, its next sibling the entry at `end`.
pub(super) struct Element {
    pub name: Name,
    pub attributes: u16,
    pub first_attribute: u32,
    pub parent: u32,
    /// One past the last descendant.
    pub end: u32,
    /// Byte of the `<`.
    pub position: u32,
    pub text: Text,
}

/// A range of the source, or of the side buffer if the text had references, CDATA or carriage returns.
#[derive(Clone, Copy, Default)]
pub(super) struct Text {
    pub start: u32,
    pub length: u32,
}

/// Bit of `Text::start` that names the side buffer.
pub(super) const SIDE: u32 = 1 << 31;

/// One attribute without namespace.
pub(super) struct Attribute {
    pub name: Name,
    pub value: Text,
}

/// Places among siblings of the same name, and how many those are.
struct Ordinals {
    each: Vec<u32>,
    totals: HashMap<(u32, Name), u32>,
}

/// A value that a rule looked at, with the element or attribute that holds it.
pub(crate) struct Seen {
    pub element: u32,
    pub attribute: Option<Name>,
}

/// An XML document that was read.
pub struct Document<'a> {
    pub(super) source: Cow<'a, str>,
    pub(super) side: String,
    pub(super) elements: Vec<Element>,
    pub(super) attributes: Vec<Attribute>,
    /// Elements by name: `index[starts[name]..starts[name + 1]]`.
    pub(super) index: Vec<u32>,
    pub(super) starts: Vec<u32>,
    /// How many attributes there are of each name.
    counts: Vec<u32>,
    lines: OnceCell<Vec<u32>>,
    ordinals: OnceCell<Ordinals>,
    tracing: Cell<bool>,
    seen: RefCell<Vec<Seen>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(source: Cow<'a, str>, side: String, elements: Vec<Element>, attributes: Vec<Attribute>) -> Self {
        let names = Name::count();
        let mut starts = vec![0_u32; names + 1];
        for element in &elements {
            starts[element.name.index() + 1] += 1;
        }
        for name in 0..names {
            starts[name + 1] += starts[name];
        }
        let mut index = vec![0_u32; elements.len()];
        let mut next = starts.clone();
        for (id, element) in (0_u32..).zip(&elements) {
            let slot = &mut next[element.name.index()];
            index[*slot as usize] = id;
            *slot += 1;
        }
        let mut counts = vec![0; names];
        for attribute in &attributes {
            counts[attribute.name.index()] += 1;
        }
        Self {
            source,
            side,
            elements,
            attributes,
            index,
            starts,
            counts,
            lines: OnceCell::new(),
            ordinals: OnceCell::new(),
            tracing: Cell::new(false),
            seen: RefCell::default(),
        }
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        self.node(0)
    }

    pub(super) fn node(&self, id: u32) -> Node<'_> {
        Node::new(self, id)
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Never: a document has a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// All elements in document order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.elements.len() as u32).map(|id| self.node(id))
    }

    /// All elements of a name, in document order.
    pub(crate) fn all(&self, name: Name) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator {
        let range = self.starts[name.index()] as usize..self.starts[name.index() + 1] as usize;
        self.index[range].iter().map(|id| self.node(*id))
    }

    /// How many attributes of a name there are anywhere.
    pub(crate) fn attribute_count(&self, name: Name) -> usize {
        self.counts[name.index()] as usize
    }

    pub(super) fn slice(&self, text: Text) -> &str {
        let (buffer, start) = if text.start & SIDE == 0 {
            (&*self.source, text.start)
        } else {
            (&*self.side, text.start & !SIDE)
        };
        &buffer[start as usize..(start + text.length) as usize]
    }

    /// Line of a byte, counted from 1.
    pub(super) fn line(&self, position: u32) -> u32 {
        let lines = self.lines.get_or_init(|| {
            memchr::memchr_iter(b'\n', self.source.as_bytes())
                .map(|at| at as u32)
                .collect()
        });
        lines.partition_point(|at| *at < position) as u32 + 1
    }

    /// Which of its siblings of the same name an element is, and how many there are. Counted for the whole document
    /// when the first finding needs it: counting siblings for each finding would take ages with many lines.
    pub(super) fn ordinal(&self, id: u32) -> (u32, u32) {
        let ordinals = self.ordinals.get_or_init(|| {
            let mut totals: HashMap<(u32, Name), u32> = HashMap::new();
            let mut each = vec![0; self.elements.len()];
            for (ordinal, element) in each.iter_mut().zip(&self.elements).skip(1) {
                let total = totals.entry((element.parent, element.name)).or_default();
                *total += 1;
                *ordinal = *total;
            }
            Ordinals { each, totals }
        });
        let element = &self.elements[id as usize];
        let total = ordinals
            .totals
            .get(&(element.parent, element.name))
            .copied()
            .unwrap_or(1);
        (ordinals.each[id as usize], total)
    }

    /// Bytes that the tree holds besides the source.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.side.capacity()
            + self.elements.capacity() * size_of::<Element>()
            + self.attributes.capacity() * size_of::<Attribute>()
            + (self.index.capacity() + self.starts.capacity()) * size_of::<u32>()
    }

    /// Runs a check again and keeps what it looks at, so that a finding can show the values.
    pub(crate) fn trace(&self, run: impl FnOnce()) -> Vec<Seen> {
        self.seen.borrow_mut().clear();
        self.tracing.set(true);
        run();
        self.tracing.set(false);
        self.seen.take()
    }

    pub(super) fn note(&self, element: u32, attribute: Option<Name>) {
        if self.tracing.get() {
            let mut seen = self.seen.borrow_mut();
            if seen.len() < 64 {
                seen.push(Seen { element, attribute });
            }
        }
    }

    /// A seen value as a person reads it: where it stands below `base`, and what it is.
    pub(crate) fn show(&self, seen: &Seen) -> String {
        let node = self.node(seen.element);
        let value = match seen.attribute {
            None => node.raw(),
            Some(name) => self.attribute(seen.element, name).unwrap_or_default(),
        };
        let mut shown: String = trimmed(value);
        shown.insert_str(0, " = ");
        if let Some(name) = seen.attribute {
            shown.insert_str(0, name.local());
            shown.insert(0, '@');
            shown.insert(0, '/');
        }
        shown.insert_str(0, &node.label());
        shown
    }

    pub(super) fn attribute(&self, element: u32, name: Name) -> Option<&str> {
        let element = &self.elements[element as usize];
        let first = element.first_attribute as usize;
        let attributes = &self.attributes[first..first + element.attributes as usize];
        attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| self.slice(attribute.value))
    }
}

/// At most 80 characters of a value.
fn trimmed(value: &str) -> String {
    let value = super::trim(value);
    let mut shown: String = value.chars().take(80).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
