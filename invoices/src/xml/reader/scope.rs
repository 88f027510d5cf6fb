//! What prefixes stand for, and so what names mean. Names that were met once are found again without taking them apart.

use super::super::names::{Name, Namespace};

/// Slots of the memory; a power of two.
const SLOTS: usize = 256;

/// A prefix and what it stands for from some depth on.
struct Binding<'s> {
    prefix: &'s str,
    namespace: Namespace,
    depth: usize,
}

/// A name as it was written, and what it meant.
#[derive(Clone, Copy)]
struct Known<'s> {
    written: &'s str,
    name: Name,
    /// The bindings that it meant this under.
    under: u32,
}

/// The bindings in force, innermost last.
pub(super) struct Scope<'s> {
    bindings: Vec<Binding<'s>>,
    known: Vec<Known<'s>>,
    /// Counts changes of the bindings.
    changes: u32,
}

impl<'s> Scope<'s> {
    pub(super) fn new() -> Self {
        let nothing = Known {
            written: "",
            name: Name::of(Namespace::Other, ""),
            under: 0,
        };
        Self {
            bindings: Vec::new(),
            known: vec![nothing; SLOTS],
            changes: 0,
        }
    }

    /// How many bindings there are, also those that inner ones hide.
    pub(super) fn in_force(&self) -> usize {
        self.bindings.len()
    }

    /// Binds a prefix from a depth on.
    pub(super) fn declare(&mut self, prefix: &'s str, namespace: Namespace, depth: usize) {
        self.changes += 1;
        self.bindings.push(Binding {
            prefix,
            namespace,
            depth,
        });
    }

    /// Forgets what was bound at a depth or further in.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|binding| binding.depth >= depth) {
            self.bindings.pop();
            self.changes += 1;
        }
    }

    /// What a name means; the prefix if nothing binds it. `hash` is of the written name.
    pub(super) fn name(&mut self, written: &'s str, hash: Option<u64>) -> Result<Name, &'s str> {
        let Some(hash) = hash else { return self.resolve(written) };
        let slot = hash as usize % SLOTS;
        let known = &self.known[slot];
        if known.under == self.changes && known.written == written {
            return Ok(known.name);
        }
        let name = self.resolve(written)?;
        self.known[slot] = Known {
            written,
            name,
            under: self.changes,
        };
        Ok(name)
    }

    fn resolve(&self, written: &'s str) -> Result<Name, &'s str> {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        match self.bindings.iter().rev().find(|binding| binding.prefix == prefix) {
            Some(binding) => Ok(Name::of(binding.namespace, local)),
            None if prefix.is_empty() => Ok(Name::of(Namespace::Other, local)),
            None => Err(prefix),
        }
    }
}
