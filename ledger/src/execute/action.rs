//! One action: judged by its template, turned into state writes.
//!
//! Owns the order of judgement: the record, the input, the members it names, the records it refers to, who acts, states,
//! native checks, identity, deadline, rules, and last what becomes of the records. All values are those before the
//! action; nothing is written before everything is judged.

mod change;
mod claims;
mod refs;

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use muniment_receipts::encoding::hex;
use serde_json::Value;

use self::claims::Writes;
use self::refs::Referred;
use super::ExecuteError;
use super::overlay::{InForce, Overlay};
use super::reject::Reject;
use crate::block::{Hash, Header};
use crate::state::{Record, record_id, record_key};
use crate::template::rule::values::{Data, Fault, Held, Values};
use crate::template::validate::validate;
use crate::template::{Action, Role};

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
    /// Records beside the first that it changed, with their new versions.
    pub also: Vec<(Hash, u32)>,
    pub writes: Vec<Write>,
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
use accept;

/// The record that is acted on.
struct Subject {
    id: Hash,
    /// As it is before; none when the action creates it.
    before: Option<Record>,
}

impl Act<'_> {
    fn action(&self) -> &Action {
        self.in_force.action()
    }

    /// Judges the action on the state as `overlay` shows it. Writes nothing yet.
    pub fn run(&self, overlay: &mut Overlay<'_>, input: &Value, record: Option<&Hash>) -> Judged<Done> {
        let before = accept!(self.before(overlay, record)?);
        let about = |reject: Reject| match record {
            Some(id) if reject.record.is_none() => reject.about(*id),
            _ => reject,
        };
        accept!(self.input(input));
        accept!(self.members(overlay, input)?);
        let refs = accept!(self.refs(overlay, input, record)?);
        accept!(self.allowed(before.as_ref(), &refs).map_err(about));
        if let Some(before) = &before {
            accept!(from(&self.action().from, before, "/record").map_err(about));
        }
        accept!(self.refs_from(&refs));
        accept!(self.native(input).map_err(about));
        let subject = match (record, before) {
            (Some(id), before) => Subject { id: *id, before },
            (None, _) => Subject {
                id: accept!(self.new_id(overlay, input)?),
                before: None,
            },
        };
        let count = self.count(overlay, input, &subject)?;
        let mut values = None;
        if self.action().computes {
            let mut known = self.values(input, &subject, &refs, count.as_ref());
            accept!(self.variables(&mut known).map_err(about));
            accept!(self.due(&known).map_err(about));
            accept!(self.rules(&known).map_err(about));
            values = Some(known);
        }
        let mut writes = Writes::new(overlay);
        let also = accept!(self.change_refs(&refs, values.as_ref(), input, &mut writes)?);
        let version = accept!(self.change(&subject, values.as_ref(), input, &mut writes)?);
        let mut writes = writes.finish();
        drop(values);
        writes.extend(count.map(|count| count.moved_on(input)).transpose()?);
        Ok(Ok(Done {
            record: subject.id,
            version,
            also,
            writes,
        }))
    }

    /// The record named, which must be there unless the action creates one.
    fn before(&self, overlay: &Overlay<'_>, record: Option<&Hash>) -> Judged<Option<Record>> {
        let template = &self.in_force.template;
        let id = match (self.action().creates, record) {
            (true, None) => return Ok(Ok(None)),
            (true, Some(_)) => {
                let message = "this action creates its record; leave out `record`";
                return Ok(Err(Reject::malformed(message, "/record")));
            }
            (false, None) => {
                let message = "this action changes a record; name its id in `record`";
                return Ok(Err(Reject::malformed(message, "/record")));
            }
            (false, Some(id)) => id,
        };
        let stored = overlay.get(&record_key(id))?;
        let stored = stored.map(|bytes| Record::parse(&bytes)).transpose()?;
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
        Ok(Ok(Some(before)))
    }

    fn input(&self, input: &Value) -> Result<(), Reject> {
        validate(&self.action().input, input).map_err(|invalid| {
            let code = if invalid.unknown {
                "UNKNOWN_FIELD"
            } else {
                "INVALID_INPUT"
            };
            Reject::new(code, invalid.sentence(), format!("/input{}", invalid.pointer))
        })
    }

    /// Whoever is to get a role must be a member: a typing error would give it to nobody for ever.
    fn members(&self, overlay: &mut Overlay<'_>, input: &Value) -> Judged<()> {
        for path in &self.action().members {
            let named = path.iter().try_fold(input, |value, name| value.get(name));
            let keys: &[Value] = match named {
                Some(Value::Array(keys)) => keys,
                Some(key) => std::slice::from_ref(key),
                None => &[],
            };
            for key in keys.iter().filter_map(Value::as_str) {
                if !overlay.is_member(key)? {
                    let message = format!("{key} is not a member of this network");
                    let pointer = format!("/input/{}", path.join("/"));
                    return Ok(Err(Reject::new("NOT_A_MEMBER", message, pointer)));
                }
            }
        }
        Ok(Ok(()))
    }

    fn allowed(&self, record: Option<&Record>, refs: &[Referred]) -> Result<(), Reject> {
        let by = &self.action().by;
        let plays = |record: &Record, role: &Role| match role {
            Role::AnyMember => true,
            Role::Creator => record.creator == self.signer,
            Role::Field(path) => match path.split_first() {
                Some((field, rest)) => record
                    .fields
                    .get(field)
                    .is_some_and(|value| names(value, rest, self.signer)),
                None => false,
            },
        };
        let may = by.iter().any(|by| match &by.of {
            _ if by.role == Role::AnyMember => true,
            None => record.is_some_and(|record| plays(record, &by.role)),
            // Of a list the signer must have the role in every record.
            Some(of) => refs
                .iter()
                .find(|referred| referred.name == of.as_str())
                .is_some_and(|referred| {
                    let mut records = referred.records.iter();
                    !referred.records.is_empty() && records.all(|(_, record)| plays(record, &by.role))
                }),
        });
        if may {
            return Ok(());
        }
        let names: Vec<_> = by.iter().map(|by| by.name.as_str()).collect();
        let message = format!("only {} may do this", names.join(" or "));
        Err(Reject::new("NOT_ALLOWED", message, "/signer"))
    }

    fn native(&self, input: &Value) -> Result<(), Reject> {
        self.action().validate.iter().try_for_each(|native| {
            (native.check)(input).map_err(|finding| {
                let pointer = format!("/input{}", finding.pointer);
                Reject::new(finding.code, finding.message, pointer)
            })
        })
    }

    /// Id of the record to be created, which must not be there.
    fn new_id(&self, overlay: &Overlay<'_>, input: &Value) -> Judged<Hash> {
        let template = &self.in_force.template;
        let action = self.action();
        let own = action.identity.as_ref();
        let creator = Value::String(self.signer.to_owned());
        let identity: Vec<&Value> = own
            .unwrap_or(&template.identity)
            .iter()
            .map(|source| source.in_input(input).unwrap_or(&creator))
            .collect();
        let id = record_id(&template.name, own.map(|_| action.name.as_str()), &identity)?;
        if overlay.contains(&record_key(&id))? {
            let names: Vec<String> = own
                .unwrap_or(&template.identity)
                .iter()
                .map(ToString::to_string)
                .collect();
            let what = format!("a record with the same {} is on the ledger already", listed(&names));
            return Ok(Err(duplicate(id, &what)));
        }
        Ok(Ok(id))
    }

    /// What the action's expressions are evaluated on.
    fn values<'v>(
        &'v self,
        input: &'v Value,
        subject: &'v Subject,
        refs: &'v [Referred],
        count: Option<&'v claims::Count<'_>>,
    ) -> Values<'v> {
        let uses = self.action().uses;
        let mut values = Values::default();
        if uses.id {
            values.set("id", hex(&subject.id));
        }
        if let (true, Some(record)) = (uses.record, &subject.before) {
            values.set("record", given(record));
        }
        if uses.input {
            values.set("input", input);
        }
        for (used, name, value) in [(uses.tx, "tx", &self.tx), (uses.block, "block", self.block)] {
            if used {
                values.set(name, value);
            }
        }
        if uses.refs {
            values.set("refs", refs::given(refs));
        }
        if let (true, Some(count)) = (uses.counters, count) {
            values.set("counters", count.given());
        }
        values
    }

    /// A deadline may be raised only when it has passed.
    fn due(&self, values: &Values<'_>) -> Result<(), Reject> {
        let Some(after) = &self.action().after else {
            return Ok(());
        };
        let after = values.value(after).map_err(|fault| faulty(fault, "the deadline"))?;
        let after = after.as_i64();
        let Some(after) = after else {
            return Err(faulty(Fault::Undefined, "the deadline"));
        };
        let time = i64::try_from(self.header.time).unwrap_or(i64::MAX);
        if time > after {
            return Ok(());
        }
        let message = format!(
            "this can be done once the block time is above {}; it is {}",
            moment(after),
            moment(time)
        );
        Err(Reject::new("NOT_DUE", message, "/action"))
    }

    fn variables<'v>(&'v self, values: &mut Values<'v>) -> Result<(), Reject> {
        self.action().variables.iter().try_for_each(|(name, expression)| {
            let made = values.make(name, expression);
            made.map_err(|fault| faulty(fault, &format!("`variables.{name}`")))
        })
    }

    fn rules(&self, values: &Values<'_>) -> Result<(), Reject> {
        match values.first_failed(&self.action().require) {
            None => Ok(()),
            Some((rule, Held::Fault(fault))) => {
                Err(faulty(fault, &format!("the rule {} ({})", rule.code, rule.message)))
            }
            Some((rule, Held::No)) => Err(Reject {
                code: Cow::Owned(rule.code.clone()),
                message: rule.message.clone(),
                pointer: "/input".to_owned(),
                record: None,
            }),
        }
    }
}

/// Whether a value, or one in a list of them, is this key at the end of the path.
fn names(value: &Value, path: &[String], key: &str) -> bool {
    match (value, path) {
        (Value::Array(items), _) => items.iter().any(|item| names(item, path, key)),
        (Value::String(text), []) => text == key,
        (Value::Object(map), [name, rest @ ..]) => map.get(name).is_some_and(|value| names(value, rest, key)),
        _ => false,
    }
}

fn from(wanted: &[(String, Vec<String>)], record: &Record, pointer: &str) -> Result<(), Reject> {
    for (region, states) in wanted {
        let state = record.regions.get(region).map_or("", String::as_str);
        if !states.iter().any(|wanted| wanted == state) {
            let message = format!("`{region}` is {state}; this action needs {}", states.join(" or "));
            return Err(Reject::new("WRONG_STATE", message, pointer));
        }
    }
    Ok(())
}

fn faulty(fault: Fault, what: &str) -> Reject {
    match fault {
        Fault::Overflow => Reject::new(
            "OVERFLOW",
            format!("{what} would be beyond what 64-bit integers, or the bounds of a value, can hold"),
            "/input",
        ),
        Fault::Undefined => Reject::new(
            "RULE_UNDEFINED",
            format!("{what} has no value for this input"),
            "/input",
        ),
    }
}

/// A time as people read it; beyond the year 9999 there is no such form.
fn moment(milliseconds: i64) -> String {
    let since = u64::try_from(milliseconds).unwrap_or(0).min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(since)).to_string()
}

/// Names in a sentence.
fn listed(names: &[String]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        names => names.concat(),
    }
}

fn duplicate(earlier: Hash, what: &str) -> Reject {
    let message = format!("{what}: {}", hex::encode(earlier));
    Reject::new("DUPLICATE", message, "/input").about(earlier)
}

/// A record as expressions see it: like its JSON.
fn given(record: &Record) -> Data<'_> {
    let fields = record.fields.iter();
    let regions = record.regions.iter();
    Data::object([
        ("createdHeight", record.created_height.into()),
        ("createdTime", record.created_time.into()),
        ("creator", record.creator.as_str().into()),
        (
            "fields",
            Data::object(fields.map(|(name, value)| (name.as_str(), value.into()))),
        ),
        ("id", record.id.as_str().into()),
        (
            "regions",
            Data::object(regions.map(|(name, state)| (name.as_str(), state.as_str().into()))),
        ),
        ("revision", u64::from(record.revision).into()),
        ("template", record.template.as_str().into()),
        ("updatedHeight", record.updated_height.into()),
        ("updatedTime", record.updated_time.into()),
        ("version", u64::from(record.version).into()),
    ])
}
