//! Paths down the tree, written as XPath writes them: `p!(cac:Item/cbc:Name)`.

use super::{Name, Node};

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
    names: &'d [Name],
    /// Where each step looks next.
    open: [Option<Node<'d>>; LONGEST],
    depth: usize,
}

impl<'d> Walk<'d> {
    pub(super) fn new(from: Node<'d>, names: &'d [Name]) -> Self {
        let mut open = [None; LONGEST];
        open[0] = if names.is_empty() || names.len() > LONGEST { None } else { from.first_child() };
        Self { names, open, depth: 0 }
    }
}

impl<'d> Iterator for Walk<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        loop {
            let Some(node) = self.open[self.depth] else {
                self.depth = self.depth.checked_sub(1)?;
                continue;
            };
            self.open[self.depth] = node.next_sibling();
            if node.name() != self.names[self.depth] {
                continue;
            }
            if self.depth + 1 == self.names.len() {
                return Some(node);
            }
            self.depth += 1;
            self.open[self.depth] = node.first_child();
        }
    }
}
