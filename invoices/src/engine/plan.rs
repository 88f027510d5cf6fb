//! Which contexts of a rule set an element may meet, by its name: found once for each rule set, so that one walk over a
//! document is enough for all of its patterns.

use super::{Context, Pattern};
use crate::xml::{Name, Namespace, Node};

/// A context that elements of some name may meet.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// Number of its pattern: an element meets one context of each.
    pub pattern: usize,
    /// Number among all contexts of the rule set.
    pub number: usize,
    pub context: &'static Context,
}

/// Candidates by name, in the order of patterns and contexts.
pub(crate) struct Plan {
    candidates: Vec<Candidate>,
    /// `candidates[starts[name]..starts[name + 1]]` are those of a name.
    starts: Vec<usize>,
    /// How many contexts there are.
    pub(super) contexts: usize,
}

impl Plan {
    pub(super) fn of(patterns: &'static [Pattern]) -> Self {
        let mut plan = Self {
            candidates: Vec::new(),
            starts: vec![0],
            contexts: patterns.iter().map(|pattern| pattern.len()).sum(),
        };
        for name in Name::all() {
            let mut number = 0;
            for (pattern, contexts) in patterns.iter().enumerate() {
                for context in *contexts {
                    if context.concerns(name) {
                        plan.candidates.push(Candidate {
                            pattern,
                            number,
                            context,
                        });
                    }
                    number += 1;
                }
            }
            plan.starts.push(plan.candidates.len());
        }
        plan
    }

    /// The contexts that an element of this name may meet.
    pub(super) fn candidates(&self, name: Name) -> &[Candidate] {
        &self.candidates[self.starts[name.index()]..self.starts[name.index() + 1]]
    }
}

impl Context {
    /// Whether elements of a name can be among its own. How unknown names end, only the document knows.
    fn concerns(&self, name: Name) -> bool {
        if name.namespace() == Namespace::Attribute {
            false
        } else if self.ending.is_empty() {
            self.names.is_empty() || self.names.contains(&name)
        } else {
            name.local().is_empty() || name.local().ends_with(self.ending)
        }
    }

    /// Whether an element with a name of its own stands where it looks.
    pub(super) fn reaches(&self, node: Node<'_>) -> bool {
        let inside = || node.parent().is_some_and(|parent| self.inside.contains(&parent.name()));
        let ends = || !node.name().local().is_empty() || node.written().ends_with(self.ending);
        (self.inside.is_empty() || inside()) && (self.ending.is_empty() || ends())
    }
}
