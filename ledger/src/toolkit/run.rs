//! Runs cases and compares what they expect with what the executor did.

use serde::Serialize;
use serde_json::Value;

use super::cases::{Call, Case, Item, Shape, Step, Suite};
use super::coverage::Coverage;
use super::world::World;
use crate::block::Hash;
use crate::template::Template;
use crate::wire::Outcome;

/// What became of all cases.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One for each case, in the order of the source.
    pub cases: Vec<CaseReport>,
    /// What the cases have touched of the template.
    pub coverage: Coverage,
}

/// What became of one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Line in the source of the cases.
    pub line: u64,
    /// Did everything come as expected?
    pub passed: bool,
    /// What did not.
    pub failures: Vec<Failure>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Line of the step.
    pub line: u64,
    /// What was looked at, such as `outcome` or `fields.note`.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Report {
    /// Did all cases pass?
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.passed)
    }
}

/// Runs a suite on a template, whose source is needed because the executor reads it from the state.
pub fn run(source: &str, template: &Template, suite: &Suite) -> Report {
    let mut coverage = Coverage::new(template);
    let cases = suite.cases.iter().map(|case| {
        let failures = match World::new(source, template, suite) {
            Ok(world) => Runner {
                world,
                template,
                coverage: &mut coverage,
                failures: Vec::new(),
            }
            .case(case),
            Err(error) => vec![broken(case.line, error)],
        };
        CaseReport {
            name: case.name.clone(),
            line: case.line,
            passed: failures.is_empty(),
            failures,
        }
    });
    let cases = cases.collect();
    Report { cases, coverage }
}

fn broken(line: u64, error: String) -> Failure {
    Failure {
        line,
        what: "step".to_owned(),
        expected: "a step that can be run".to_owned(),
        found: error,
    }
}

struct Runner<'a> {
    world: World,
    template: &'a Template,
    coverage: &'a mut Coverage,
    failures: Vec<Failure>,
}

impl Runner<'_> {
    fn case(mut self, case: &Case) -> Vec<Failure> {
        for step in &case.steps {
            let before = self.failures.len();
            if let Err((line, error)) = self.step(step, case.line) {
                self.failures.push(broken(line, error));
            }
            // What follows would only tell of what went wrong here.
            if self.failures.len() > before {
                break;
            }
        }
        self.failures
    }

    fn step(&mut self, step: &Step, line: u64) -> Result<(), (u64, String)> {
        match step {
            Step::Wait(milliseconds) => {
                self.world.wait(*milliseconds);
                self.world.block(&[]).map(drop).map_err(|error| (line, error))
            }
            Step::Look { line, record, shape } => {
                let id = self.world.id(&super::cases::Data::Record(record.clone()));
                id.and_then(|id| self.look(*line, &id, shape))
                    .map_err(|error| (*line, error))
            }
            Step::Block { times, calls } => (0..*times).try_for_each(|count| {
                self.world.count(count);
                if self.failures.is_empty() {
                    self.block(calls)
                } else {
                    Ok(())
                }
            }),
        }
    }

    fn block(&mut self, calls: &[Call]) -> Result<(), (u64, String)> {
        let line = |call: Option<&Call>| call.and_then(|call| call.items.first()).map_or(0, |item| item.line);
        let first = line(calls.first());
        let (execution, steps) = self.world.block(calls).map_err(|error| (first, error))?;
        for step in &steps {
            self.coverage.step(self.template, step);
        }
        for (call, outcomes) in calls.iter().zip(&execution.outcomes) {
            for (item, outcome) in call.items.iter().zip(outcomes) {
                self.coverage.outcome(self.template, &call.action, outcome);
                self.outcome(item, outcome).map_err(|error| (item.line, error))?;
            }
        }
        for (call, outcomes) in calls.iter().zip(&execution.outcomes) {
            for (item, outcome) in call.items.iter().zip(outcomes) {
                let about = match (outcome, &item.on) {
                    (Outcome::Accepted { record, .. }, _) => Some(*record),
                    (Outcome::Rejected { .. }, Some(on)) => self.world.id(on).ok(),
                    (Outcome::Rejected { .. }, None) => None,
                };
                if let Some(id) = about.filter(|_| !item.shape.is_empty()) {
                    self.look(item.line, &id, &item.shape)
                        .map_err(|error| (item.line, error))?;
                }
            }
        }
        Ok(())
    }

    fn outcome(&mut self, item: &Item, outcome: &Outcome) -> Result<(), String> {
        let told = match outcome {
            Outcome::Accepted { .. } => "accepted".to_owned(),
            Outcome::Rejected {
                code, message, pointer, ..
            } if pointer.is_empty() => format!("{code}: {message}"),
            Outcome::Rejected {
                code, message, pointer, ..
            } => format!("{code} at {pointer}: {message}"),
        };
        match (outcome, &item.code) {
            (Outcome::Accepted { record, .. }, None) => {
                if let Some(name) = &item.name {
                    self.world.name(name, *record);
                }
                Ok(())
            }
            (Outcome::Rejected { code, record, .. }, Some(wanted)) if code == wanted => {
                let Some(about) = &item.about else { return Ok(()) };
                let wanted = self.world.id(about)?;
                self.same(
                    item.line,
                    "record that the refusal names",
                    &hex::encode(wanted),
                    record.map(hex::encode),
                );
                Ok(())
            }
            (_, code) => {
                let expected = code.clone().unwrap_or_else(|| "accepted".to_owned());
                self.same(item.line, "outcome", &expected, Some(told));
                Ok(())
            }
        }
    }

    /// Compares a record with what it must be like.
    fn look(&mut self, line: u64, id: &Hash, shape: &Shape) -> Result<(), String> {
        let Some(record) = self.world.record_now(id)? else {
            self.same(line, "record", "is there", Some("isn't there".to_owned()));
            return Ok(());
        };
        for (region, state) in &shape.states {
            let found = record.regions.get(region).cloned();
            self.same(line, &format!("state.{region}"), state, found);
        }
        if let Some(version) = shape.version {
            self.same(line, "version", &version.to_string(), Some(record.version.to_string()));
        }
        for (name, wanted) in &shape.fields {
            let found = record.fields.get(name);
            let wanted = match wanted {
                Some(data) => Some(
                    data.resolve(&self.world)
                        .map_err(|name| format!("the record `{name}` was never made"))?,
                ),
                None => None,
            };
            if found != wanted.as_ref() {
                let text = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
                self.same(
                    line,
                    &format!("fields.{name}"),
                    &text(wanted.as_ref()),
                    Some(text(found)),
                );
            }
        }
        Ok(())
    }

    fn same(&mut self, line: u64, what: &str, expected: &str, found: Option<String>) {
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        if found != expected {
            self.failures.push(Failure {
                line,
                what: what.to_owned(),
                expected: expected.to_owned(),
                found,
            });
        }
    }
}
