//! The records that an action refers to.

use std::collections::BTreeSet;

use muniment_receipts::encoding::from_hex_exact;
use serde_json::Value;

use super::{Act, Judged, Reject, accept, from};
use crate::block::Hash;
use crate::execute::overlay::Overlay;
use crate::state::{Record, record_key};
use crate::template::rule::values::Data;
use crate::template::validate::validate;
use crate::template::{Reference, Template};

/// What a name in `refs` stands for.
pub struct Referred {
    /// Name.
    pub name: String,
    /// A list of records?
    pub many: bool,
    /// The records in the order of the input; none when the input leaves the reference out.
    pub records: Vec<(Hash, Record)>,
    pointer: String,
}

impl Act<'_> {
    /// Finds the records. None may be named twice if it is changed: there would be two new versions of it.
    pub(super) fn refs(&self, overlay: &Overlay<'_>, input: &Value, subject: Option<&Hash>) -> Judged<Vec<Referred>> {
        let mut referred = Vec::with_capacity(self.action().refs.len());
        let mut seen: BTreeSet<Hash> = subject.copied().into_iter().collect();
        let mut changed = BTreeSet::new();
        for reference in &self.action().refs {
            let one = accept!(self.find(overlay, input, reference)?);
            for (id, _) in &one.records {
                let again = !seen.insert(*id);
                if changed.contains(id) || again && !reference.change.is_empty() {
                    let message = "the same record is named twice, and would be changed twice";
                    return Ok(Err(Reject::new("SAME_RECORD", message, one.pointer).about(*id)));
                }
                if !reference.change.is_empty() {
                    changed.insert(*id);
                }
            }
            referred.push(one);
        }
        Ok(Ok(referred))
    }

    fn find(&self, overlay: &Overlay<'_>, input: &Value, reference: &Reference) -> Judged<Referred> {
        let pointer = format!("/input/{}", reference.record.join("/"));
        let named = reference.record.iter().try_fold(input, |value, name| value.get(name));
        let ids: &[Value] = match named {
            Some(Value::Array(ids)) => ids,
            Some(id) => std::slice::from_ref(id),
            None => &[],
        };
        let template = &self.in_force.template;
        let mut records = Vec::with_capacity(ids.len());
        for id in ids.iter().filter_map(Value::as_str) {
            let Some(id) = from_hex_exact::<32>(id) else {
                let message = "a record id is 64 characters of lower-case hex";
                return Ok(Err(Reject::new("INVALID_INPUT", message, pointer)));
            };
            let stored = overlay.get(&record_key(&id))?;
            let stored = stored.map(|bytes| Record::parse(&bytes)).transpose()?;
            let Some(record) = stored.filter(|record| record.template == template.name) else {
                let message = format!("`{}` has no record with this id", template.name);
                return Ok(Err(Reject::new("NO_SUCH_RECORD", message, pointer).about(id)));
            };
            if record.revision != template.revision && !readable(&record, template) {
                let message = format!(
                    "this record lives by revision {}, and has what revision {} doesn't know",
                    record.revision, template.revision
                );
                return Ok(Err(Reject::new("WRONG_REVISION", message, pointer).about(id)));
            }
            records.push((id, record));
        }
        Ok(Ok(Referred {
            name: reference.name.clone(),
            many: reference.many,
            records,
            pointer,
        }))
    }

    /// States that the records must be in.
    pub(super) fn refs_from(&self, refs: &[Referred]) -> Result<(), Reject> {
        for (reference, referred) in self.action().refs.iter().zip(refs) {
            for (id, record) in &referred.records {
                from(&reference.from, record, &referred.pointer).map_err(|reject| reject.about(*id))?;
            }
        }
        Ok(())
    }
}

/// A record keeps its revision. One of another revision may be referred to as far as this one knows all that it holds.
fn readable(record: &Record, template: &Template) -> bool {
    let fields = Value::Object(record.fields.clone().into_iter().collect());
    let known = |(name, state): (&String, &String)| {
        let region = template.regions.iter().find(|region| region.name == *name);
        region.is_some_and(|region| region.states.contains(state))
    };
    let same = record.regions.len() == template.regions.len();
    same && record.regions.iter().all(known) && validate(&template.fields, &fields).is_ok()
}

/// The variable `refs`. A reference that the input leaves out is absent.
pub fn given(refs: &[Referred]) -> Data<'_> {
    Data::object(refs.iter().filter_map(|referred| {
        let mut records = referred.records.iter().map(|(_, record)| super::given(record));
        let value = match referred.many {
            true => Data::list(records),
            false => records.next()?,
        };
        Some((referred.name.as_str(), value))
    }))
}
