//! Every guard of the invoice template, taken out one at a time by a machine: some case must notice.
//!
//! A guard is a rule, a state that an action needs of a region, who may act, that whoever is named is a member, a native
//! check, a unique key, or a deadline.

use muniment_ledger::template::Template;
use muniment_ledger::templates::ELECTRONIC_INVOICE;
use muniment_ledger::toolkit::{self, Suite};
use serde_json::{Value, json};

const CASES: &str = include_str!("../../templates/electronic-invoice.cases.yaml");

/// Guards that others imply, and why; they stay because they say what is meant.
const IMPLIED: [(&str, &str); 4] = [
    (
        "acceptPledge/from/document",
        "offers stand only on documents in these states",
    ),
    (
        "acceptPledge/from/encumbrance",
        "whoever has an offer is its lender in these states only",
    ),
    (
        "settleReimbursement/from/reimbursement",
        "there is an employer only while there is a lock",
    ),
    (
        "releaseReimbursement/from/reimbursement",
        "there is an employer or claimant only while there is a lock",
    ),
];

/// Where a guard stands, as a JSON pointer, and what takes its place; nothing where it is taken out.
type Mutant = (String, Option<Value>);

fn entries<'v>(value: &'v Value, name: &str) -> Vec<(String, &'v Value)> {
    match &value[name] {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| (at.to_string(), item))
            .collect(),
        _ => Vec::new(),
    }
}

fn mutants(template: &Value) -> Vec<Mutant> {
    let spec = &template["spec"];
    let mut all: Vec<Mutant> = Vec::new();
    for (index, _) in entries(spec, "unique") {
        all.push((format!("/spec/unique/{index}"), None));
    }
    for part in ["actions", "deadlines"] {
        for (name, action) in entries(spec, part) {
            let at = format!("/spec/{part}/{name}");
            for list in ["require", "from", "members", "validate"] {
                let own = entries(action, list).into_iter();
                all.extend(own.map(|(entry, _)| (format!("{at}/{list}/{entry}"), None)));
            }
            for (reference, one) in entries(action, "refs") {
                let own = entries(one, "from").into_iter();
                all.extend(own.map(|(region, _)| (format!("{at}/refs/{reference}/from/{region}"), None)));
            }
            if action.get("by").is_some_and(|by| *by != json!(["anyMember"])) {
                all.push((format!("{at}/by"), Some(json!(["anyMember"]))));
            }
            if action.get("after").is_some() {
                all.push((format!("{at}/after"), Some(json!("0"))));
            }
        }
    }
    all
}

/// The template without a guard, as source.
fn mutated(template: &Value, (at, instead): &Mutant) -> String {
    let mut template = template.clone();
    let (parent, name) = at.rsplit_once('/').unwrap();
    match (template.pointer_mut(parent).unwrap(), instead) {
        (Value::Object(map), Some(value)) => drop(map.insert(name.to_owned(), value.clone())),
        (Value::Object(map), None) => drop(map.remove(name)),
        (Value::Array(items), _) => drop(items.remove(name.parse().unwrap())),
        other => panic!("{at}: {other:?}"),
    }
    template.to_string()
}

fn noticed(source: &str) -> bool {
    let template = Template::compile(source).unwrap_or_else(|error| panic!("{error}"));
    let suite = Suite::read(CASES, &template).unwrap_or_else(|errors| panic!("{errors:#?}"));
    suite.cases.iter().any(|case| {
        let one = Suite {
            cases: vec![case.clone()],
            ..suite.clone()
        };
        !toolkit::run(source, &template, &one).passed()
    })
}

#[test]
fn some_case_notices_every_guard_that_is_gone() {
    let template: Value = serde_yaml::from_str(ELECTRONIC_INVOICE).unwrap();
    assert!(!noticed(&template.to_string()), "the cases pass as it is");
    let mut all = mutants(&template);
    all.retain(|(at, _)| !IMPLIED.iter().any(|(guard, _)| at.ends_with(guard)));
    assert!(all.len() > 150, "{}", all.len());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let survivors: Vec<String> = std::thread::scope(|scope| {
        let share = |worker: usize| {
            let (all, template) = (&all, &template);
            move || {
                let own = all.iter().skip(worker).step_by(workers);
                let alive = own.filter(|mutant| !noticed(&mutated(template, mutant)));
                alive.map(|(at, _)| at.clone()).collect::<Vec<_>>()
            }
        };
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(share(worker))).collect();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(survivors.is_empty(), "nobody misses {survivors:#?}");
}
