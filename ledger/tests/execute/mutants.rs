//! Every guard of the invoice template, taken out one at a time by a machine: some case must notice.
//!
//! A guard is a rule, a state that an action needs of a region, who may act, that whoever is named is a member, a native
//! check, a unique key, or a deadline.

use muniment_ledger::template::Template;
use muniment_ledger::template::yaml::{self, Node, Yaml};
use muniment_ledger::templates::ELECTRONIC_INVOICE;
use muniment_ledger::toolkit::{self, Suite};

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

/// Where a guard stands, and what takes its place; nothing where it is taken out.
type Mutant = (String, Option<&'static str>);

fn entries(node: &Node) -> Vec<(String, &Node)> {
    match &node.value {
        Yaml::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node)).collect(),
        Yaml::List(items) => items
            .iter()
            .enumerate()
            .map(|(at, node)| (at.to_string(), node))
            .collect(),
        _ => Vec::new(),
    }
}

fn below<'n>(node: &'n Node, name: &str) -> Vec<(String, &'n Node)> {
    let found = entries(node).into_iter().find(|(own, _)| own == name);
    found.map(|(_, node)| entries(node)).unwrap_or_default()
}

fn mutants(template: &Node) -> Vec<Mutant> {
    let (_, spec) = entries(template).into_iter().find(|(name, _)| name == "spec").unwrap();
    let mut all: Vec<Mutant> = Vec::new();
    all.extend(
        below(spec, "unique")
            .iter()
            .map(|(index, _)| (format!("spec/unique/{index}"), None)),
    );
    for part in ["actions", "deadlines"] {
        for (name, action) in below(spec, part) {
            let at = format!("spec/{part}/{name}");
            for list in ["require", "from", "members", "validate"] {
                let own = below(action, list);
                all.extend(own.iter().map(|(entry, _)| (format!("{at}/{list}/{entry}"), None)));
            }
            for (reference, one) in below(action, "refs") {
                let own = below(one, "from");
                all.extend(
                    own.iter()
                        .map(|(region, _)| (format!("{at}/refs/{reference}/from/{region}"), None)),
                );
            }
            let open = |node: &Node| matches!(&node.value, Yaml::Text(role) if role == "anyMember");
            if below(action, "by").iter().any(|(_, role)| !open(role)) {
                all.push((format!("{at}/by/0"), Some("anyMember")));
            }
            if entries(action).iter().any(|(key, _)| key == "after") {
                all.push((format!("{at}/after"), Some("0")));
            }
        }
    }
    all
}

fn change(node: &mut Node, path: &[&str], instead: Option<&str>) {
    let (first, rest) = path.split_first().unwrap();
    if rest.is_empty() && instead.is_none() {
        return match &mut node.value {
            Yaml::Map(entries) => entries.retain(|(name, _)| name != first),
            Yaml::List(items) => drop(items.remove(first.parse().unwrap())),
            other => panic!("{first} of {other:?}"),
        };
    }
    let next = match &mut node.value {
        Yaml::Map(entries) => entries.iter_mut().find(|(name, _)| name == first).map(|(_, node)| node),
        Yaml::List(items) => items.get_mut(first.parse::<usize>().unwrap()),
        _ => None,
    };
    let next = next.unwrap();
    match instead {
        Some(text) if rest.is_empty() => next.value = Yaml::Text(text.to_owned()),
        _ => change(next, rest, instead),
    }
}

/// As JSON, which is YAML, too; in the order of the source, in which variables build on each other.
fn write(node: &Node, out: &mut String) {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    match &node.value {
        Yaml::Null | Yaml::Float => out.push_str("null"),
        Yaml::Bool(value) => out.push_str(&value.to_string()),
        Yaml::Int(value) => out.push_str(&value.to_string()),
        Yaml::Text(value) => out.push_str(&text(value)),
        Yaml::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write(item, out);
            }
            out.push(']');
        }
        Yaml::Map(entries) => {
            out.push('{');
            for (at, (name, node)) in entries.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                out.push_str(&text(name));
                out.push(':');
                write(node, out);
            }
            out.push('}');
        }
    }
}

fn source(template: &Node) -> String {
    let mut text = String::new();
    write(template, &mut text);
    text
}

/// The template without a guard, as source.
fn mutated(template: &Node, (at, instead): &Mutant) -> String {
    let mut template = template.clone();
    change(&mut template, &at.split('/').collect::<Vec<_>>(), *instead);
    source(&template)
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
    let template = yaml::parse(ELECTRONIC_INVOICE).unwrap();
    assert!(!noticed(&source(&template)), "the cases pass as it is");
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
