//! Committed state with this block's writes on top, and what was looked up once for the block.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use muniment_receipts::statement::Common;
use sha2::{Digest, Sha256};

use super::ExecuteError;
use super::reject::Reject;
use crate::block::Hash;
use crate::state::{Changes, StateError, StateRead, TemplateEntry, member_key, source_key, template_key};
use crate::template::{Action, Template};
use crate::transaction::TransactionId;

/// Most compiled templates kept at hand.
const MAX_COMPILED: usize = 256;

/// State as later actions of the block see it.
pub struct Overlay<'a> {
    view: &'a dyn StateRead,
    /// Looked into far more often than it is walked: sorted at the end.
    changes: HashMap<Vec<u8>, Option<Vec<u8>>>,
    members: HashMap<String, bool>,
    latest: HashMap<String, Option<u32>>,
    templates: HashMap<(String, u32), Option<Arc<Template>>>,
    /// Committed values that many actions of a block ask for.
    often: RefCell<HashMap<Vec<u8>, Option<Vec<u8>>>>,
}

/// Template and action that a transaction names.
pub struct InForce {
    pub template: Arc<Template>,
    index: usize,
}

impl InForce {
    /// The action.
    pub fn action(&self) -> &Action {
        &self.template.actions[self.index]
    }
}

impl<'a> Overlay<'a> {
    pub fn new(view: &'a dyn StateRead) -> Self {
        Self {
            view,
            changes: HashMap::new(),
            members: HashMap::new(),
            latest: HashMap::new(),
            templates: HashMap::new(),
            often: RefCell::new(HashMap::new()),
        }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.view.get(key),
        }
    }

    /// Like `get`, for what many actions of a block ask for: the committed state is asked once.
    pub fn get_often(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(value) = self.changes.get(key) {
            return Ok(value.clone());
        }
        if let Some(value) = self.often.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.view.get(key)?;
        self.often.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    /// Like `get`, without copying what this block wrote.
    pub fn contains(&self, key: &[u8]) -> Result<bool, StateError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.is_some()),
            None => Ok(self.view.get(key)?.is_some()),
        }
    }

    pub fn seen(&self, id: &TransactionId) -> Result<bool, StateError> {
        self.view.seen(id)
    }

    pub fn write(&mut self, writes: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
        self.changes.extend(writes);
    }

    /// Looks everything up again: governance has changed something.
    pub fn forget(&mut self) {
        self.members.clear();
        self.latest.clear();
        self.templates.clear();
    }

    pub fn into_changes(self) -> Changes {
        self.changes.into_iter().collect()
    }

    /// Membership, template, revision and action of a transaction.
    pub fn in_force(&mut self, common: &Common, signer: &str) -> Result<Result<InForce, Reject>, ExecuteError> {
        if let Err(reject) = self.member(signer)? {
            return Ok(Err(reject));
        }
        let Some(latest) = self.latest(&common.template)? else {
            let message = format!("there is no template `{}` on this network", common.template);
            return Ok(Err(Reject::new("UNKNOWN_TEMPLATE", message, "/template")));
        };
        let wrong = |message: String| Ok(Err(Reject::new("WRONG_REVISION", message, "/revision")));
        let Some(template) = self.template(&common.template, common.revision)? else {
            return wrong(format!(
                "template `{}` has no revision {}; latest is {latest}",
                common.template, common.revision
            ));
        };
        let Ok(index) = template
            .actions
            .binary_search_by(|action| action.name.cmp(&common.action))
        else {
            let known: Vec<_> = template.actions.iter().map(|action| action.name.as_str()).collect();
            let message = format!(
                "`{}` has no action `{}`; it has: {}",
                template.name,
                common.action,
                known.join(", ")
            );
            return Ok(Err(Reject::new("UNKNOWN_ACTION", message, "/action")));
        };
        let in_force = InForce { template, index };
        if in_force.action().creates && common.revision != latest {
            return wrong(format!(
                "new records of `{}` are made by revision {latest}, not {}",
                common.template, common.revision
            ));
        }
        Ok(Ok(in_force))
    }

    pub fn is_member(&mut self, signer: &str) -> Result<bool, StateError> {
        if let Some(known) = self.members.get(signer) {
            return Ok(*known);
        }
        let found = self.contains(&member_key(signer))?;
        self.members.insert(signer.to_owned(), found);
        Ok(found)
    }

    /// Refuses whoever isn't a member.
    pub fn member(&mut self, signer: &str) -> Result<Result<(), Reject>, StateError> {
        Ok(if self.is_member(signer)? {
            Ok(())
        } else {
            let message = format!("{signer} is not a member of this network");
            Err(Reject::new("NOT_A_MEMBER", message, "/signer"))
        })
    }

    fn latest(&mut self, name: &str) -> Result<Option<u32>, StateError> {
        if let Some(known) = self.latest.get(name) {
            return Ok(*known);
        }
        let latest = self.template_entry(name)?.map(|entry| entry.revision);
        self.latest.insert(name.to_owned(), latest);
        Ok(latest)
    }

    /// What is in force of a template.
    pub fn template_entry(&self, name: &str) -> Result<Option<TemplateEntry>, StateError> {
        let entry = self.get(&template_key(name))?;
        entry
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| StateError(error.into())))
            .transpose()
    }

    fn template(&mut self, name: &str, revision: u32) -> Result<Option<Arc<Template>>, ExecuteError> {
        let key = (name.to_owned(), revision);
        if let Some(known) = self.templates.get(&key) {
            return Ok(known.clone());
        }
        let found = match self.get(&source_key(name, revision))? {
            Some(source) => Some(compiled(&source, name, revision)?),
            None => None,
        };
        self.templates.insert(key, found.clone());
        Ok(found)
    }
}

/// Compiling is a pure function of the source, so all networks of the process share what was compiled.
fn compiled(source: &[u8], name: &str, revision: u32) -> Result<Arc<Template>, ExecuteError> {
    static COMPILED: LazyLock<Mutex<HashMap<Hash, Arc<Template>>>> = LazyLock::new(Mutex::default);
    let key: Hash = Sha256::digest(source).into();
    let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = known().get(&key) {
        return Ok(Arc::clone(template));
    }
    let source = std::str::from_utf8(source).map_err(|error| StateError(error.into()))?;
    let template = Template::compile(source)
        .map(Arc::new)
        .map_err(|source| ExecuteError::Template {
            name: name.to_owned(),
            revision,
            source,
        })?;
    let mut templates = known();
    if templates.len() >= MAX_COMPILED {
        templates.clear();
    }
    templates.insert(key, Arc::clone(&template));
    Ok(template)
}
