//! Reads cases strictly, against the template that they are for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::data::{self, Data, Known};
use super::{Call, Case, Item, Shape, Step, Suite};
use crate::template::yaml::{self, At, Path, Run, Yaml, similar};
use crate::template::{Action, Template, TemplateError};
use crate::transaction::MAX_BATCH;

/// Largest file of cases, in bytes.
const MAX_SOURCE: usize = 4 * 1024 * 1024;
/// Block time of the first block when the file names none: 2026-01-01.
const START: u64 = 1_767_225_600_000;

/// Most transactions in one block of a case: each block is executed once for each of them.
const MAX_CALLS: usize = 64;

/// Most times that one step is taken.
const MAX_TIMES: u32 = 1_000;

/// Reads a file.
pub fn suite(source: &str, template: &Template) -> Result<Suite, Vec<TemplateError>> {
    let run = Run::new(source);
    let outcome = document(source, template, &run);
    run.finish(outcome)
}

fn document(source: &str, template: &Template, run: &Run<'_>) -> Result<Suite, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError {
            path: String::new(),
            line: None,
            column: None,
            message: format!("a file of cases may have at most {MAX_SOURCE} bytes"),
        });
    }
    let node = yaml::parse_repeating(source)?;
    let top = At {
        node: &node,
        path: &Path::Top,
        run,
    };
    // `shared` is for YAML anchors: what stands there is used where it is named.
    top.only(&["template", "members", "strangers", "start", "shared", "cases"])?;
    top.get("template", |at| match at.text()? {
        name if name == template.name => Ok(()),
        other => Err(at.error(format!(
            "these cases are for `{other}`, the template is `{}`",
            template.name
        ))),
    })?;
    let members = top.need("members", names)?;
    let strangers = top.get("strangers", names)?.unwrap_or_default();
    let start = top.get("start", start)?.unwrap_or(START);
    let cases = top.need("cases", |at| {
        at.each(|at| {
            let reader = Reader {
                template,
                parties: members.iter().chain(&strangers).map(String::as_str).collect(),
                records: RefCell::default(),
            };
            reader.case(at)
        })
    })?;
    if cases.is_empty() {
        return Err(top.error("there are no cases"));
    }
    Ok(Suite {
        members,
        strangers,
        start,
        cases,
    })
}

fn names(at: At<'_>) -> Result<Vec<String>, TemplateError> {
    at.each(|at| at.text().map(str::to_owned))
}

fn start(at: At<'_>) -> Result<u64, TemplateError> {
    let text = at.text()?;
    humantime::parse_rfc3339_weak(text)
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| at.error(format!("`{text}` is no time; write for instance 2026-01-01T00:00:00Z")))
}

/// Reads one case.
struct Reader<'t> {
    template: &'t Template,
    parties: BTreeSet<&'t str>,
    /// Records that steps so far have named.
    records: RefCell<BTreeSet<String>>,
}

impl Known for Reader<'_> {
    fn record(&self, at: At<'_>, name: &str) -> Result<(), TemplateError> {
        let records = self.records.borrow();
        known(at, "record", name, records.iter().map(String::as_str))
    }

    fn member(&self, at: At<'_>, name: &str) -> Result<(), TemplateError> {
        known(at, "party", name, self.parties.iter().copied())
    }
}

fn known<'k>(
    at: At<'_>,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Result<(), TemplateError> {
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    let meant = similar(name, known.clone());
    let meant = meant
        .map(|meant| format!("; did you mean `{meant}`?"))
        .unwrap_or_default();
    let known: Vec<_> = known.collect();
    Err(at.error(format!(
        "there is no {what} `{name}`{meant} (there are: {})",
        known.join(", ")
    )))
}

impl Reader<'_> {
    fn case(&self, at: At<'_>) -> Result<Case, TemplateError> {
        at.only(&["name", "description", "steps"])?;
        Ok(Case {
            name: at.need("name", |at| at.text().map(str::to_owned))?,
            line: at.node.start.line.into(),
            steps: at.need("steps", |at| at.each(|at| self.step(at)))?,
        })
    }

    fn step(&self, at: At<'_>) -> Result<Step, TemplateError> {
        let Yaml::Map(entries) = &at.node.value else {
            return Err(at.error("a step is an action (`by` and `do`), `block`, `wait` or `record`"));
        };
        let has = |key: &str| entries.iter().any(|(known, _)| known == key);
        if has("wait") {
            at.only(&["wait"])?;
            return Ok(Step::Wait(at.need("wait", data::duration)?));
        }
        if has("block") {
            at.only(&["block"])?;
            let calls = at.need("block", |at| at.each(|at| self.call(at)))?;
            if calls.len() > MAX_CALLS {
                return Err(at.error(format!("a block in a case has at most {MAX_CALLS} transactions")));
            }
            return Ok(Step::Block { times: 1, calls });
        }
        if has("record") && !has("do") {
            at.only(&["record", "state", "fields", "version"])?;
            return Ok(Step::Look {
                line: at.node.start.line.into(),
                record: at.need("record", |at| {
                    let name = at.text()?;
                    self.record(at, name).map(|()| name.to_owned())
                })?,
                shape: self.shape(at)?,
            });
        }
        let times = at.get("times", |at| {
            let times = u32::try_from(at.int()?)
                .ok()
                .filter(|times| (1..=MAX_TIMES).contains(times));
            times.ok_or_else(|| at.error(format!("a step is taken 1 to {MAX_TIMES} times")))
        })?;
        Ok(Step::Block {
            times: times.unwrap_or(1),
            calls: vec![self.call(at)?],
        })
    }

    fn call(&self, at: At<'_>) -> Result<Call, TemplateError> {
        let by = at.need("by", |at| {
            let name = at.text()?;
            self.member(at, name).map(|()| name.to_owned())
        })?;
        let action = at.need("do", |at| self.action(at))?;
        let batch = at.get("batch", |at| {
            at.each(|at| {
                at.only(&["input", "on", "as", "code", "about", "state", "fields", "version"])?;
                self.item(at, action)
            })
        })?;
        let (batch, items) = match batch {
            Some(items) => {
                at.only(&["times", "by", "do", "batch"])?;
                if items.is_empty() || items.len() > MAX_BATCH {
                    return Err(at.error(format!("a batch has 1 to {MAX_BATCH} items")));
                }
                (true, items)
            }
            None => {
                at.only(&[
                    "times", "by", "do", "input", "on", "as", "code", "about", "state", "fields", "version",
                ])?;
                (false, vec![self.item(at, action)?])
            }
        };
        Ok(Call {
            by,
            action: action.name.clone(),
            batch,
            items,
        })
    }

    fn action(&self, at: At<'_>) -> Result<&Action, TemplateError> {
        let name = at.text()?;
        let names = self.template.actions.iter().map(|action| action.name.as_str());
        known(at, "action", name, names)?;
        let action = self.template.action(name);
        action.ok_or_else(|| at.error(format!("there is no action `{name}`")))
    }

    fn item(&self, at: At<'_>, action: &Action) -> Result<Item, TemplateError> {
        let item = Item {
            line: at.node.start.line.into(),
            input: at
                .get("input", |at| data::data(at, self))?
                .unwrap_or(Data::Object(Vec::new())),
            on: at.get("on", |at| self.id(at))?,
            name: at.get("as", |at| at.text().map(str::to_owned))?,
            code: at.get("code", |at| at.text().map(str::to_owned))?,
            about: at.get("about", |at| self.id(at))?,
            shape: self.shape(at)?,
        };
        if item.on.is_none() && !action.creates && item.code.is_none() {
            return Err(at.error(format!("`{}` acts on a record: name it with `on`", action.name)));
        }
        if let Some(name) = item.name.clone().filter(|_| item.code.is_none()) {
            self.records.borrow_mut().insert(name);
        }
        Ok(item)
    }

    /// A record by its name here, or by its id.
    fn id(&self, at: At<'_>) -> Result<Data, TemplateError> {
        if let Yaml::Map(_) = at.node.value {
            return data::data(at, self);
        }
        let text = at.text()?;
        if text.len() == 64 && hex::decode(text).is_ok() {
            return Ok(Data::Plain(text.into()));
        }
        self.record(at, text).map(|()| Data::Record(text.to_owned()))
    }

    fn shape(&self, at: At<'_>) -> Result<Shape, TemplateError> {
        let states = at.get("state", |at| at.entries(|region, at| self.state(region, at)))?;
        let fields = at.get("fields", |at| {
            at.entries(|name, at| {
                if self.template.fields.property(name).is_none() {
                    return Err(at.key_error(format!("the template has no field `{name}`")));
                }
                let value = match at.node.value {
                    Yaml::Null => None,
                    _ => Some(data::data(at, self)?),
                };
                Ok((name.to_owned(), value))
            })
        })?;
        Ok(Shape {
            states: states.unwrap_or_default().into_iter().collect(),
            fields: fields.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
            version: at.get("version", |at| at.int())?,
        })
    }

    fn state(&self, region: &str, at: At<'_>) -> Result<(String, String), TemplateError> {
        let regions = &self.template.regions;
        let Some(found) = regions.iter().find(|known| known.name == region) else {
            let names: Vec<_> = regions.iter().map(|region| region.name.as_str()).collect();
            return Err(at.key_error(format!(
                "there is no region `{region}` (there are: {})",
                names.join(", ")
            )));
        };
        let state = at.text()?;
        known(at, "state", state, found.states.iter().map(String::as_str))?;
        Ok((region.to_owned(), state.to_owned()))
    }
}
