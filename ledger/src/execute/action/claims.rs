//! What an action writes beside records: unique keys and counters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Act, Judged, Subject, Write, accept, duplicate};
use crate::block::Hash;
use crate::execute::overlay::Overlay;
use crate::execute::reject::Reject;
use crate::state::{Draft, StateError, counter_key, unique_key};
use crate::template::rule::values::Data;
use crate::template::{Counter, Source, Template, Unique};

/// First line of what a unique key is the hash of.
const UNIQUE_DOMAIN: &[u8] = b"muniment.dev/unique/v1\n";
/// First line of what the key of a counter's row is the hash of.
const COUNTER_DOMAIN: &[u8] = b"muniment.dev/counter/v1\n";

/// Writes of one action, on top of what the block wrote before it.
pub struct Writes<'o, 's> {
    overlay: &'o Overlay<'s>,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'o, 's> Writes<'o, 's> {
    pub fn new(overlay: &'o Overlay<'s>) -> Self {
        Self {
            overlay,
            pending: BTreeMap::new(),
        }
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.pending.insert(key, Some(value));
    }

    pub fn finish(self) -> Vec<Write> {
        self.pending.into_iter().collect()
    }

    /// Who has a unique key. A creator's is asked for with each of its records.
    fn holder(&self, key: &[u8], unique: &Unique) -> Result<Option<Vec<u8>>, StateError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None if unique.by_creator => self.overlay.get_often(key),
            None => self.overlay.get(key),
        }
    }

    /// Releases and claims the unique keys of a record.
    pub fn claim(
        &mut self,
        template: &Template,
        before: Option<&Draft<'_>>,
        after: &Draft<'_>,
        id: Hash,
    ) -> Judged<()> {
        for unique in &template.unique {
            let old = before.map(|record| claim(record, unique)).transpose()?.flatten();
            let new = claim(after, unique)?;
            if old == new {
                continue;
            }
            if let Some(key) = new {
                let holder = self.holder(&key, unique)?;
                if unique.by_creator {
                    accept!(self.claim_for(key, holder, after, unique));
                    continue;
                }
                if let Some(holder) = holder {
                    let holder: Result<Hash, _> = holder.as_slice().try_into();
                    let holder = holder.map_err(|_| StateError("not a record id".into()))?;
                    return Ok(Err(taken(unique, Some(holder))));
                }
                self.put(key, id.to_vec());
            }
            if let Some(key) = old.filter(|_| !unique.by_creator) {
                self.pending.insert(key, None);
            }
        }
        Ok(Ok(()))
    }

    /// The values belong to the creator who used them first, for good.
    fn claim_for(
        &mut self,
        key: Vec<u8>,
        holder: Option<Vec<u8>>,
        record: &Draft<'_>,
        unique: &Unique,
    ) -> Result<(), Reject> {
        match holder {
            Some(holder) if holder != record.creator.as_bytes() => Err(taken(unique, None)),
            Some(_) => Ok(()),
            None => {
                self.put(key, record.creator.as_bytes().to_vec());
                Ok(())
            }
        }
    }
}

/// The refusal; `holder` is the record that has the values, unless they belong to a creator.
fn taken(unique: &Unique, holder: Option<Hash>) -> Reject {
    match (&unique.refusal, holder) {
        (Some((code, message)), record) => Reject {
            code: Cow::Owned(code.clone()),
            message: message.clone(),
            pointer: "/input".to_owned(),
            record,
        },
        (None, Some(holder)) => duplicate(holder, &format!("another record has the same {}", unique.name)),
        (None, None) => {
            let message = format!("another party has used the same {} before", unique.name);
            Reject::new("DUPLICATE", message, "/input")
        }
    }
}

/// State key of a record's unique key; none when one of its fields is absent.
fn claim(record: &Draft<'_>, unique: &Unique) -> Result<Option<Vec<u8>>, StateError> {
    let values: Option<Vec<&Value>> = unique.fields.iter().map(|field| record.fields.get(field)).collect();
    let Some(mut values) = values else { return Ok(None) };
    let creator = Value::from(record.creator);
    if unique.per_creator {
        values.insert(0, &creator);
    }
    let mut bytes = UNIQUE_DOMAIN.to_vec();
    serde_json::to_writer(&mut bytes, &(&record.template, &unique.name, values))
        .map_err(|error| StateError(error.into()))?;
    Ok(Some(unique_key(&Sha256::digest(&bytes).into())))
}

/// A counter's row as it is stored: how often it was moved on, and the link of the last time.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    count: u64,
    link: String,
}

/// The row of a counter that an action moves on.
pub struct Count<'t> {
    counter: &'t Counter,
    key: Vec<u8>,
    row: Row,
}

impl Count<'_> {
    /// The variable `counters`.
    pub fn given(&self) -> Data<'_> {
        let row = [
            ("next", (self.row.count + 1).into()),
            ("previous", self.row.link.as_str().into()),
        ];
        Data::object([(self.counter.name.as_str(), Data::object(row))])
    }

    /// The write that moves it on.
    pub fn moved_on(self, input: &Value) -> Result<Write, StateError> {
        let link = self.counter.link.as_ref().and_then(|link| link.in_input(input));
        let row = Row {
            count: self.row.count + 1,
            link: link.and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        let bytes = serde_json::to_vec(&row).map_err(|error| StateError(error.into()))?;
        Ok((self.key, Some(bytes)))
    }
}

impl Act<'_> {
    /// The row of the counter that the action moves on, if it does.
    pub(super) fn count(
        &self,
        overlay: &Overlay<'_>,
        input: &Value,
        subject: &Subject,
    ) -> Result<Option<Count<'_>>, StateError> {
        let template = &self.in_force.template;
        let Some(counter) = self.action().counts.and_then(|index| template.counters.get(index)) else {
            return Ok(None);
        };
        let creator = match &subject.before {
            Some(record) => record.creator.as_str(),
            None => self.signer,
        };
        let (creator, signer) = (Value::from(creator), Value::from(self.signer));
        let values: Vec<&Value> = counter
            .per
            .iter()
            .map(|source| match source {
                Source::Creator => &creator,
                _ => source.in_input(input).unwrap_or(&signer),
            })
            .collect();
        let mut bytes = COUNTER_DOMAIN.to_vec();
        serde_json::to_writer(&mut bytes, &(&template.name, &counter.name, values))
            .map_err(|error| StateError(error.into()))?;
        let key = counter_key(&Sha256::digest(&bytes).into());
        let row = match overlay.get(&key)? {
            Some(row) => serde_json::from_slice(&row).map_err(|error| StateError(error.into()))?,
            None => Row::default(),
        };
        Ok(Some(Count { counter, key, row }))
    }
}
