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

/// All nodes at the end of a path, in document order, found while iterating.
pub(crate) struct Walk<'d> {
    document: &'d Document<'d>,
    names: &'d [Name],
    /// For each step, where it looks next and where it ends.
    open: [(u32, u32); LONGEST],
    depth: usize,
}

impl<'d> Walk<'d> {
    pub(super) fn new(from: Node<'d>, names: &'d [Name]) -> Self {
        let mut open = [(0, 0); LONGEST];
        if !names.is_empty() && names.len() <= LONGEST {
            open[0] = from.inner();
        }
        Self {
            document: from.document(),
            names,
            open,
            depth: 0,
        }
    }
}

impl<'d> Iterator for Walk<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        let elements = &self.document.elements;
        loop {
            let (at, end) = &mut self.open[self.depth];
            if *at >= *end {
                self.depth = self.depth.checked_sub(1)?;
                continue;
            }
            let id = *at;
            let element = &elements[id as usize];
            *at = element.end;
            if element.name != self.names[self.depth] {
                continue;
            }
            if self.depth + 1 == self.names.len() {
                return Some(self.document.node(id));
            }
            self.depth += 1;
            self.open[self.depth] = (id + 1, element.end);
        }
    }
}
