//! Paths down the tree, written as XPath writes them: `p!(cac:Item/cbc:Name)`.

use super::{Document, Name, Node};

/// Names from a node downwards.
pub(crate) type Path = &'static [Name];

/// A path of element names.
macro_rules! p {
    ($($space:ident : $name:ident)/+) => { const { &[$($crate::xml::$space::$name),+] } };
}
pub(crate) use p;

/// Longest path in use, plus room.
const LONGEST: usize = 10;

/// Below an element with more descendants than this, a rare name is looked up in the index of names. Otherwise each
/// path from the root would step over all lines.
const MANY: u32 = 64;

/// A name is rare up to so many elements.
const RARE: usize = 8;

/// Where one step looks next: at children one after the other, or at entries of the index.
#[derive(Clone, Copy, Default)]
struct Step {
    at: u32,
    end: u32,
    parent: u32,
    indexed: bool,
}

impl Step {
    /// Starts to look below an element, whose descendants end there, for a name.
    fn new(document: &Document<'_>, parent: u32, end: u32, name: Name) -> Self {
        if end - parent > MANY {
            let (from, to) = (document.starts[name.index()], document.starts[name.index() + 1]);
            if (to - from) as usize <= RARE {
                return Self {
                    at: from,
                    end: to,
                    parent,
                    indexed: true,
                };
            }
        }
        Self {
            at: parent + 1,
            end,
            parent,
            indexed: false,
        }
    }

    /// The next child with the name.
    fn next(&mut self, document: &Document<'_>, name: Name) -> Option<u32> {
        while self.at < self.end {
            if self.indexed {
                let id = document.index[self.at as usize];
                self.at += 1;
                if id != 0 && document.elements[id as usize].parent == self.parent {
                    return Some(id);
                }
            } else {
                let id = self.at;
                let element = &document.elements[id as usize];
                self.at = element.end;
                if element.name == name {
                    return Some(id);
                }
            }
        }
        None
    }
}

/// The first node at the end of a path, as most rules ask for it: without the room that going on would need.
pub(super) fn first(document: &Document<'_>, from: u32, path: &[Name]) -> Option<u32> {
    let (name, rest) = path.split_first()?;
    let mut step = Step::new(document, from, document.elements[from as usize].end, *name);
    while let Some(id) = step.next(document, *name) {
        if rest.is_empty() {
            return Some(id);
        }
        if let Some(found) = first(document, id, rest) {
            return Some(found);
        }
    }
    None
}

/// All nodes at the end of a path, in document order, found while iterating.
pub(crate) struct Walk<'d> {
    document: &'d Document<'d>,
    names: &'d [Name],
    open: [Step; LONGEST],
    depth: usize,
}

impl<'d> Walk<'d> {
    pub(super) fn new(from: Node<'d>, names: &'d [Name]) -> Self {
        let mut walk = Self {
            document: from.document(),
            names,
            open: [Step::default(); LONGEST],
            depth: 0,
        };
        if !names.is_empty() && names.len() <= LONGEST {
            let (first, end) = from.inner();
            walk.open[0] = Step::new(walk.document, first - 1, end, names[0]);
        }
        walk
    }
}

impl<'d> Iterator for Walk<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        loop {
            let Some(id) = self.open[self.depth].next(self.document, *self.names.get(self.depth)?) else {
                self.depth = self.depth.checked_sub(1)?;
                continue;
            };
            if self.depth + 1 == self.names.len() {
                return Some(self.document.node(id));
            }
            self.depth += 1;
            let end = self.document.elements[id as usize].end;
            self.open[self.depth] = Step::new(self.document, id, end, self.names[self.depth]);
        }
    }
}
