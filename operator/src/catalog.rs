//! Record templates that can be put into a genesis.

use muniment_receipts::genesis::GenesisTemplate;

/// The templates that are at hand, by name and revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog(Vec<GenesisTemplate>);

impl Catalog {
    /// A catalogue of these templates.
    pub fn new(templates: Vec<GenesisTemplate>) -> Self {
        Self(templates)
    }

    /// This one and further templates.
    pub fn with(&self, further: Vec<GenesisTemplate>) -> Self {
        Self(self.0.iter().cloned().chain(further).collect())
    }

    /// A template by name; the newest revision when none is given.
    pub fn find(&self, name: &str, revision: Option<u32>) -> Option<&GenesisTemplate> {
        let named = self.0.iter().filter(|t| t.name == name);
        match revision {
            Some(revision) => named.into_iter().find(|t| t.revision == revision),
            None => named.max_by_key(|t| t.revision),
        }
    }

    /// What there is, as `name revision` in a readable list.
    pub fn names(&self) -> String {
        let all: Vec<String> = self.0.iter().map(|t| format!("`{}` {}", t.name, t.revision)).collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        }
    }
}
