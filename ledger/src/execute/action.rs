//! One action: judged by its template, turned into state writes.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ExecuteError;
use super::overlay::{InForce, Overlay};
use super::reject::Reject;
use crate::block::{Hash, Header};
use crate::state::{Record, StateError, record_id, record_key, unique_key};
use crate::template::rule::{self, Held, Scope};
use crate::template::validate::validate;
use crate::template::{Role, Source, Unique};

/// First line of what a unique key is the hash of.
const UNIQUE_DOMAIN: &[u8] = b"muniment.dev/unique/v1\n";

/// What all actions of a transaction share.
pub struct Act<'a> {
    pub in_force: &'a InForce,
    pub signer: &'a str,
    pub header: &'a Header,
    pub block: &'a Value,
    pub tx: Value,
}

/// An accepted action.
pub struct Done {
    pub record: Hash,
    pub version: u32,
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A state key with its new value, or none when it is removed.
type Write = (Vec<u8>, Option<Vec<u8>>);
type Judged<T> = Result<Result<T, Reject>, ExecuteError>;

/// Leaves the function with a rejection: the inner `?` that a nested result lacks.
macro_rules! accept {
    ($judged:expr) => {
        match $judged {
            Ok(value) => value,
            Err(reject) => return Ok(Err(reject)),
        }
    };
}

impl Act<'_> {
    /// Judges the action on the state as `overlay` shows it. Writes nothing yet.
    pub fn run(&self, overlay: &mut Overlay<'_>, input: &Value, record: Option<&Hash>) -> Judged<Done> {
        if self.in_force.action().creates {
            self.create(overlay, input, record)
        } else {
            self.change(overlay, input, record)
        }
    }

    fn create(&self, overlay: &Overlay<'_>, input: &Value, record: Option<&Hash>) -> Judged<Done> {
        if record.is_some() {
            let message = "this action creates its record; leave out `record`";
            return Ok(Err(Reject::malformed(message, "/record")));
        }
        accept!(self.input(input));
        accept!(self.rules(&Value::Null, input));
        let template = &self.in_force.template;
        let creator = Value::String(self.signer.to_owned());
        let identity: Vec<&Value> = template
            .identity
            .iter()
            .map(|source| source.in_input(input).unwrap_or(&creator))
            .collect();
        let id = record_id(&template.name, &identity)?;
        let key = record_key(&id);
        if overlay.contains(&key)? {
            return Ok(Err(duplicate(id, "the same record is on the ledger already")));
        }
        let mut record = Record {
            created_height: self.header.height,
            created_time: self.header.time,
            creator: self.signer.to_owned(),
            fields: Default::default(),
            id: hex::encode(id),
            regions: template
                .regions
                .iter()
                .map(|r| (r.name.clone(), r.initial.clone()))
                .collect(),
            revision: template.revision,
            template: template.name.clone(),
            updated_height: self.header.height,
            updated_time: self.header.time,
            version: 1,
        };
        self.apply(&mut record, input);
        let mut writes = accept!(self.unique(overlay, None, &record, id)?);
        writes.push((key, Some(record.canonical()?)));
        Ok(Ok(Done {
            record: id,
            version: 1,
            writes,
        }))
    }

    fn change(&self, overlay: &Overlay<'_>, input: &Value, record: Option<&Hash>) -> Judged<Done> {
        let template = &self.in_force.template;
        let Some(id) = record else {
            let message = "this action changes a record; name its id in `record`";
            return Ok(Err(Reject::malformed(message, "/record")));
        };
        let key = record_key(id);
        let stored = overlay.get(&key)?.map(|bytes| Record::parse(&bytes)).transpose()?;
        let Some(before) = stored.filter(|record| record.template == template.name) else {
            let message = format!("`{}` has no record with this id", template.name);
            return Ok(Err(Reject::new("NO_SUCH_RECORD", message, "/record").about(*id)));
        };
        if before.revision != template.revision {
            let message = format!(
                "this record lives by revision {}, not {}",
                before.revision, template.revision
            );
            return Ok(Err(Reject::new("WRONG_REVISION", message, "/revision").about(*id)));
        }
        accept!(self.input(input));
        accept!(self.allowed(&before).map_err(|reject| reject.about(*id)));
        accept!(self.from(&before).map_err(|reject| reject.about(*id)));
        let seen = if self.in_force.action().uses.record {
            json(&before)?
        } else {
            Value::Null
        };
        accept!(self.rules(&seen, input).map_err(|reject| reject.about(*id)));
        let mut after = before.clone();
        let Some(version) = before.version.checked_add(1) else {
            return Ok(Err(Reject::new(
                "WRONG_STATE",
                "this record can't be changed any more",
                "/record",
            )
            .about(*id)));
        };
        after.version = version;
        after.updated_height = self.header.height;
        after.updated_time = self.header.time;
        self.apply(&mut after, input);
        let mut writes = accept!(self.unique(overlay, Some(&before), &after, *id)?);
        writes.push((key, Some(after.canonical()?)));
        Ok(Ok(Done {
            record: *id,
            version,
            writes,
        }))
    }

    fn input(&self, input: &Value) -> Result<(), Reject> {
        validate(&self.in_force.action().input, input).map_err(|invalid| {
            let code = if invalid.unknown {
                "UNKNOWN_FIELD"
            } else {
                "INVALID_INPUT"
            };
            Reject::new(code, invalid.message, format!("/input{}", invalid.pointer))
        })
    }

    fn allowed(&self, record: &Record) -> Result<(), Reject> {
        let by = &self.in_force.action().by;
        let plays = |role: &Role| match role {
            Role::AnyMember => true,
            Role::Creator => record.creator == self.signer,
            Role::Field(name) => record.fields.get(name).and_then(Value::as_str) == Some(self.signer),
        };
        if by.iter().any(|(_, role)| plays(role)) {
            return Ok(());
        }
        let names: Vec<_> = by.iter().map(|(name, _)| name.as_str()).collect();
        Err(Reject::new(
            "NOT_ALLOWED",
            format!("only {} may do this", names.join(" or ")),
            "/signer",
        ))
    }

    fn from(&self, record: &Record) -> Result<(), Reject> {
        for (region, states) in &self.in_force.action().from {
            let state = record.regions.get(region).map_or("", String::as_str);
            if !states.iter().any(|wanted| wanted == state) {
                let message = format!("`{region}` is {state}; this action needs {}", states.join(" or "));
                return Err(Reject::new("WRONG_STATE", message, "/record"));
            }
        }
        Ok(())
    }

    fn rules(&self, record: &Value, input: &Value) -> Result<(), Reject> {
        let action = self.in_force.action();
        let scope = Scope {
            record,
            input,
            tx: &self.tx,
            block: self.block,
        };
        match rule::first_failed(&action.require, action.uses, scope) {
            None => Ok(()),
            Some((rule, Held::Undefined)) => {
                let message = format!("the rule {} has no value for this input ({})", rule.code, rule.message);
                Err(Reject::new("RULE_UNDEFINED", message, "/input"))
            }
            Some((rule, _)) => Err(Reject {
                code: Cow::Owned(rule.code.clone()),
                message: rule.message.clone(),
                pointer: "/input".to_owned(),
                record: None,
            }),
        }
    }

    fn apply(&self, record: &mut Record, input: &Value) {
        let action = self.in_force.action();
        for (region, state) in &action.to {
            record.regions.insert(region.clone(), state.clone());
        }
        for (field, source) in &action.set {
            let value = match source {
                Source::Input(_) => source.in_input(input).cloned(),
                Source::Creator | Source::Signer => Some(Value::String(self.signer.to_owned())),
                Source::Height => Some(self.header.height.into()),
                Source::Time => Some(self.header.time.into()),
            };
            if let Some(value) = value {
                record.fields.insert(field.clone(), value);
            }
        }
    }

    /// Releases and claims unique keys.
    fn unique(&self, overlay: &Overlay<'_>, before: Option<&Record>, after: &Record, id: Hash) -> Judged<Vec<Write>> {
        let mut writes = Vec::with_capacity(1);
        for unique in &self.in_force.template.unique {
            let old = before.map(|record| claim(record, unique)).transpose()?.flatten();
            let new = claim(after, unique)?;
            if old == new {
                continue;
            }
            if let Some(key) = new {
                if let Some(holder) = overlay.get(&key)? {
                    let holder: Hash = holder
                        .as_slice()
                        .try_into()
                        .map_err(|_| StateError("not a record id".into()))?;
                    let message = format!("another record has the same {}", unique.name);
                    return Ok(Err(duplicate(holder, &message)));
                }
                writes.push((key, Some(id.to_vec())));
            }
            writes.extend(old.map(|key| (key, None)));
        }
        Ok(Ok(writes))
    }
}

fn duplicate(earlier: Hash, what: &str) -> Reject {
    let message = format!("{what}: {}", hex::encode(earlier));
    Reject::new("DUPLICATE", message, "/input").about(earlier)
}

/// State key of a record's unique key; none when one of its fields is absent.
fn claim(record: &Record, unique: &Unique) -> Result<Option<Vec<u8>>, StateError> {
    let values: Option<Vec<&Value>> = unique.fields.iter().map(|field| record.fields.get(field)).collect();
    let Some(values) = values else { return Ok(None) };
    let mut bytes = UNIQUE_DOMAIN.to_vec();
    serde_json::to_writer(&mut bytes, &(&record.template, &unique.name, values))
        .map_err(|error| StateError(error.into()))?;
    Ok(Some(unique_key(&Sha256::digest(&bytes).into())))
}

fn json(record: &Record) -> Result<Value, StateError> {
    serde_json::to_value(record).map_err(|error| StateError(error.into()))
}
