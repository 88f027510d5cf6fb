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
            walk.enter(first - 1, end);
        }
        walk
    }

    /// Starts to look below an element for the name of this depth.
    fn enter(&mut self, parent: u32, end: u32) {
        let mut step = Step {
            at: parent + 1,
            end,
            parent,
            indexed: false,
        };
        if end - parent > MANY {
            let name = self.names[self.depth].index();
            let (from, to) = (
                self.document.starts[name] as usize,
                self.document.starts[name + 1] as usize,
            );
            if to - from <= RARE {
                step = Step {
                    at: from as u32,
                    end: to as u32,
                    parent,
                    indexed: true,
                };
            }
        }
        self.open[self.depth] = step;
    }

    /// The next child with the name of this depth.
    fn step(&mut self) -> Option<u32> {
        let step = &mut self.open[self.depth];
        while step.at < step.end {
            if step.indexed {
                let id = self.document.index[step.at as usize];
                step.at += 1;
                if id != 0 && self.document.elements[id as usize].parent == step.parent {
                    return Some(id);
                }
            } else {
                let id = step.at;
                let element = &self.document.elements[id as usize];
                step.at = element.end;
                if element.name == self.names[self.depth] {
                    return Some(id);
                }
            }
        }
        None
    }
}

impl<'d> Iterator for Walk<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        loop {
            let Some(id) = self.step() else {
                self.depth = self.depth.checked_sub(1)?;
                continue;
            };
            if self.depth + 1 == self.names.len() {
                return Some(self.document.node(id));
            }
            self.depth += 1;
            self.enter(id, self.document.elements[id as usize].end);
        }
    }
}
