//! What becomes of the records of an accepted action.

use muniment_receipts::encoding::hex;
use serde_json::Value;

use super::claims::Writes;
use super::refs::Referred;
use super::{Act, Judged, Subject, accept, faulty, given};
use crate::block::Hash;
use crate::execute::reject::Reject;
use crate::state::{Record, record_key};
use crate::template::rule::values::Values;
use crate::template::validate::validate;
use crate::template::{Assign, Change, Source};

impl Act<'_> {
    /// Changes or creates the record acted on. Gives its new version.
    pub(super) fn change(
        &self,
        subject: &Subject,
        values: Option<&Values<'_, '_>>,
        input: &Value,
        writes: &mut Writes<'_, '_>,
    ) -> Judged<u32> {
        let Subject { id, before } = subject;
        let mut after = match before {
            Some(before) => before.clone(),
            None => self.fresh(id),
        };
        let change = &self.action().change;
        accept!(self.next(&mut after, before.is_some(), change, values, input, *id)?);
        accept!(writes.claim(&self.in_force.template, before.as_ref(), &after, *id)?);
        writes.put(record_key(id), after.canonical()?);
        Ok(Ok(after.version))
    }

    /// Changes the records referred to. Gives their new versions.
    pub(super) fn change_refs<'v>(
        &self,
        refs: &'v [Referred],
        values: Option<&Values<'_, 'v>>,
        input: &Value,
        writes: &mut Writes<'_, '_>,
    ) -> Judged<Vec<(Hash, u32)>> {
        let mut also = Vec::new();
        for (reference, referred) in self.action().refs.iter().zip(refs) {
            if reference.change.is_empty() {
                continue;
            }
            for (id, before) in &referred.records {
                let with = match (values, reference.many) {
                    (Some(values), true) => Some(values.with("item", given(before))),
                    _ => None,
                };
                let mut after = before.clone();
                let values = with.as_ref().or(values);
                accept!(self.next(&mut after, true, &reference.change, values, input, *id)?);
                accept!(writes.claim(&self.in_force.template, Some(before), &after, *id)?);
                writes.put(record_key(id), after.canonical()?);
                also.push((*id, after.version));
            }
        }
        Ok(Ok(also))
    }

    fn fresh(&self, id: &Hash) -> Record {
        let template = &self.in_force.template;
        let regions = template.regions.iter();
        Record {
            created_height: self.header.height,
            created_time: self.header.time,
            creator: self.signer.to_owned(),
            fields: Default::default(),
            id: hex(id),
            regions: regions
                .map(|region| (region.name.clone(), region.initial.clone()))
                .collect(),
            revision: template.revision,
            template: template.name.clone(),
            updated_height: self.header.height,
            updated_time: self.header.time,
            version: 1,
        }
    }

    /// Makes a record its next version.
    fn next(
        &self,
        record: &mut Record,
        existed: bool,
        change: &Change,
        values: Option<&Values<'_, '_>>,
        input: &Value,
        id: Hash,
    ) -> Judged<()> {
        if existed {
            let Some(version) = record.version.checked_add(1) else {
                let message = "this record can't be changed any more";
                return Ok(Err(Reject::new("WRONG_STATE", message, "/record").about(id)));
            };
            record.version = version;
            record.updated_height = self.header.height;
            record.updated_time = self.header.time;
        }
        accept!(states(record, change, values));
        Ok(self.fields(record, change, values, input))
    }

    fn fields(
        &self,
        record: &mut Record,
        change: &Change,
        values: Option<&Values<'_, '_>>,
        input: &Value,
    ) -> Result<(), Reject> {
        for (field, assign) in &change.set {
            let value = match assign {
                Assign::Copy(source) => match self.copied(source, input) {
                    Some(value) => value,
                    None => continue,
                },
                Assign::Constant(value) => value.clone(),
                Assign::Remove => Value::Null,
                Assign::Compute(expression) => {
                    let value = values.map_or(Ok(None), |values| values.value(expression));
                    let value = value.map_err(|fault| faulty(fault, &format!("the new value of `{field}`")))?;
                    self.fitting(field, value)?
                }
            };
            match value {
                Value::Null => record.fields.remove(field),
                value => record.fields.insert(field.clone(), value),
            };
        }
        Ok(())
    }

    fn copied(&self, source: &Source, input: &Value) -> Option<Value> {
        match source {
            Source::Input(_) => source.in_input(input).cloned(),
            Source::Creator | Source::Signer => Some(Value::String(self.signer.to_owned())),
            Source::Height => Some(self.header.height.into()),
            Source::Time => Some(self.header.time.into()),
        }
    }

    /// A computed value must fit its field as an input would; null, only where the field may be absent.
    fn fitting(&self, field: &str, value: Option<Value>) -> Result<Value, Reject> {
        let wrong = |what: &str| {
            let message = format!("the new value of `{field}` {what}");
            Err(Reject::new("RESULT_INVALID", message, "/input"))
        };
        let (Some(value), Some(property)) = (value, self.in_force.template.fields.property(field)) else {
            return wrong("can't be stored");
        };
        match validate(&property.schema, &value) {
            Ok(()) => Ok(value),
            Err(_) if value.is_null() && !property.required => Ok(value),
            Err(invalid) if invalid.pointer.is_empty() => wrong(&invalid.message),
            Err(invalid) => wrong(&format!("at {}: {}", invalid.pointer, invalid.message)),
        }
    }
}

fn states(record: &mut Record, change: &Change, values: Option<&Values<'_, '_>>) -> Result<(), Reject> {
    for (region, cases) in &change.to {
        for case in cases {
            let holds = match (&case.when, values) {
                (None, _) => true,
                (Some(when), Some(values)) => {
                    let holds = values.holds(when);
                    holds.map_err(|fault| faulty(fault, &format!("a condition of `to.{region}`")))?
                }
                (Some(_), None) => false,
            };
            if holds {
                record.regions.insert(region.clone(), case.state.clone());
                break;
            }
        }
    }
    Ok(())
}
