//! What becomes of the records of an accepted action.

use std::borrow::Cow;

use muniment_receipts::encoding::hex;
use serde_json::Value;

use super::claims::Writes;
use super::refs::Referred;
use super::{Act, Judged, Subject, accept, faulty, given};
use crate::block::Hash;
use crate::execute::reject::Reject;
use crate::state::{Draft, Fields, record_key};
use crate::template::rule::values::Values;
use crate::template::validate::validate;
use crate::template::{Assign, Change, Source};

impl Act<'_> {
    /// Changes or creates the record acted on. Gives its new version.
    pub(super) fn change(
        &self,
        subject: &Subject,
        values: Option<&Values<'_>>,
        input: &Value,
        writes: &mut Writes<'_, '_>,
    ) -> Judged<u32> {
        let Subject { id, before } = subject;
        let before = before.as_ref().map(Draft::from);
        let mut after = before.clone().unwrap_or_else(|| self.fresh(id));
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
        values: Option<&Values<'v>>,
        input: &Value,
        writes: &mut Writes<'_, '_>,
    ) -> Judged<Vec<(Hash, u32)>> {
        let mut also = Vec::new();
        for (reference, referred) in self.action().refs.iter().zip(refs) {
            if reference.change.is_empty() {
                continue;
            }
            for (id, record) in &referred.records {
                let with = match (values, reference.many) {
                    (Some(values), true) => Some(values.with("item", given(record))),
                    _ => None,
                };
                let before = Draft::from(record);
                let mut after = before.clone();
                let values = with.as_ref().or(values);
                accept!(self.next(&mut after, true, &reference.change, values, input, *id)?);
                accept!(writes.claim(&self.in_force.template, Some(&before), &after, *id)?);
                writes.put(record_key(id), after.canonical()?);
                also.push((*id, after.version));
            }
        }
        Ok(Ok(also))
    }

    fn fresh(&self, id: &Hash) -> Draft<'_> {
        let template = &self.in_force.template;
        let regions = template.regions.iter();
        Draft {
            created_height: self.header.height,
            created_time: self.header.time,
            creator: self.signer,
            fields: Fields::default(),
            id: hex(id).into(),
            regions: regions
                .map(|region| (region.name.as_str(), region.initial.as_str()))
                .collect(),
            revision: template.revision,
            template: &template.name,
            updated_height: self.header.height,
            updated_time: self.header.time,
            version: 1,
        }
    }

    /// Makes a record its next version.
    fn next<'d>(
        &'d self,
        record: &mut Draft<'d>,
        existed: bool,
        change: &'d Change,
        values: Option<&Values<'_>>,
        input: &'d Value,
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

    fn fields<'d>(
        &'d self,
        record: &mut Draft<'d>,
        change: &'d Change,
        values: Option<&Values<'_>>,
        input: &'d Value,
    ) -> Result<(), Reject> {
        let mut made = Vec::with_capacity(change.set.len());
        for (field, assign) in &change.set {
            let value = match assign {
                Assign::Copy(source) => self.copied(source, input),
                Assign::Constant(value) => Some(Cow::Borrowed(value)),
                Assign::Remove => Some(Cow::Owned(Value::Null)),
                Assign::Compute(expression) => {
                    let value = values.map_or(Ok(None), |values| values.value(expression).map(Some));
                    let value = value.map_err(|fault| faulty(fault, &format!("the new value of `{field}`")))?;
                    Some(Cow::Owned(self.fitting(field, value)?))
                }
            };
            made.push(value);
        }
        let made = change.sorted.iter().filter_map(|place| {
            let (field, _) = change.set.get(*place)?;
            Some((field.as_str(), made.get_mut(*place)?.take()?))
        });
        if record.fields.is_empty() {
            record.fields = Fields::sorted(made.filter(|(_, value)| !value.is_null()));
        } else {
            made.for_each(|(field, value)| record.fields.set(field, value));
        }
        Ok(())
    }

    fn copied<'d>(&self, source: &Source, input: &'d Value) -> Option<Cow<'d, Value>> {
        let value = match source {
            Source::Input(_) => return source.in_input(input).map(Cow::Borrowed),
            Source::Creator | Source::Signer => Value::String(self.signer.to_owned()),
            Source::Height => self.header.height.into(),
            Source::Time => self.header.time.into(),
        };
        Some(Cow::Owned(value))
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

fn states<'d>(record: &mut Draft<'d>, change: &'d Change, values: Option<&Values<'_>>) -> Result<(), Reject> {
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
                record.regions.insert(region, &case.state);
                break;
            }
        }
    }
    Ok(())
}
