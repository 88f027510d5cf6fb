//! Takes the guards and effects of a template out one at a time, and sees whether its cases notice.
//!
//! `cargo run --release -p muniment-ledger --example template_mutants -- ledger/templates/NAME.yaml [WHICH]`
//!
//! A guard is a rule, a state that an action needs of a region, who may act, that whoever is named is a member, a native
//! check, a unique key or a deadline; an effect is a new state or a new value. `NAME.cases.yaml` are the cases.
//! `NAME.survivors.tsv` lists what no case can notice, and why. Exit code 1: something else was not noticed, or something
//! of that list was. WHICH is a part of the names of those to try.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use muniment_ledger::template::Template;
use muniment_ledger::template::yaml::{self, Node, Yaml};
use muniment_ledger::toolkit::{self, Suite};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Where something stands, and what takes its place; nothing where it is taken out.
#[derive(Clone)]
struct Mutant {
    at: String,
    instead: Option<&'static str>,
}

/// What became of a mutant.
enum Fate {
    /// A case failed.
    Noticed,
    /// It is no template any more.
    Refused,
    /// All cases passed.
    Survived,
}

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a template file")?;
    let which = arguments.next().unwrap_or_default();
    let beside = |ending: &str| path.replace(".yaml", ending);
    let template = std::fs::read_to_string(&path)?;
    let compiled = Template::compile(&template)?;
    let suite = Suite::read(&std::fs::read_to_string(beside(".cases.yaml"))?, &compiled)
        .map_err(|errors| format!("the cases can't be read: {errors:?}"))?;
    let tree = yaml::parse(&template)?;
    if !matches!(fate(&text(&tree)?, &suite), Fate::Survived) {
        return Err("a case fails on the template as it is".into());
    }
    let all: Vec<Mutant> = mutants(&tree)
        .into_iter()
        .filter(|mutant| mutant.at.contains(&which))
        .collect();
    let survivors = tried(&tree, &suite, &all)?;
    let listed = std::fs::read_to_string(beside(".survivors.tsv")).unwrap_or_default();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split('\t').next()).collect();
    let unlisted: Vec<&String> = survivors.iter().filter(|at| !listed.contains(&at.as_str())).collect();
    let tried_too = |at: &&&str| all.iter().any(|mutant| mutant.at == **at);
    let noticed: Vec<&&str> = listed
        .iter()
        .filter(tried_too)
        .filter(|at| !survivors.iter().any(|survivor| survivor == **at))
        .collect();
    for at in &unlisted {
        println!("SURVIVED {at}");
    }
    for at in &noticed {
        println!("listed, but noticed or no template: {at}");
    }
    println!(
        "{} mutants, {} survived, {} of them listed",
        all.len(),
        survivors.len(),
        survivors.len() - unlisted.len()
    );
    Ok(ExitCode::from(u8::from(!unlisted.is_empty() || !noticed.is_empty())))
}

/// Those that survive, in order.
fn tried(tree: &Node, suite: &Suite, all: &[Mutant]) -> Result<Vec<String>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let share = |worker: usize| {
            move || {
                let mut alive = Vec::new();
                for (place, mutant) in all.iter().enumerate().skip(worker).step_by(workers) {
                    let mut changed = tree.clone();
                    change(&mut changed, &mutant.at.split('/').collect::<Vec<_>>(), mutant.instead);
                    if matches!(fate(&text(&changed)?, suite), Fate::Survived) {
                        alive.push((place, mutant.at.clone()));
                    }
                }
                Ok(alive)
            }
        };
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(share(worker))).collect();
        let mut alive = Vec::new();
        for worker in running {
            let own: Result<Vec<(usize, String)>> = worker.join().map_err(|_| "a worker panicked")?;
            alive.extend(own?);
        }
        alive.sort();
        Ok(alive.into_iter().map(|(_, at)| at).collect())
    })
}

fn fate(source: &str, suite: &Suite) -> Fate {
    let Ok(template) = Template::compile(source) else {
        return Fate::Refused;
    };
    let fails = suite.cases.iter().any(|case| {
        let one = Suite {
            cases: vec![case.clone()],
            ..suite.clone()
        };
        !toolkit::run(source, &template, &one).passed()
    });
    if fails { Fate::Noticed } else { Fate::Survived }
}

fn mutants(template: &Node) -> Vec<Mutant> {
    let mut all = Vec::new();
    let Some(spec) = child(template, "spec") else {
        return all;
    };
    each(spec, "unique", "spec", &mut all);
    for part in ["actions", "deadlines"] {
        for (name, action) in below(spec, part) {
            let at = format!("spec/{part}/{name}");
            for list in ["require", "from", "members", "validate", "set"] {
                each(action, list, &at, &mut all);
            }
            states(action, &at, &mut all);
            for (reference, one) in below(action, "refs") {
                let at = format!("{at}/refs/{reference}");
                each(one, "from", &at, &mut all);
                each(one, "set", &at, &mut all);
                states(one, &at, &mut all);
            }
            let roles = below(action, "by");
            if roles.len() > 1 {
                each(action, "by", &at, &mut all);
            }
            if !roles
                .iter()
                .any(|(_, role)| matches!(&role.value, Yaml::Text(role) if role == "anyMember"))
            {
                let open = roles.first().map(|(first, _)| Mutant {
                    at: format!("{at}/by/{first}"),
                    instead: Some("anyMember"),
                });
                all.extend(open);
            }
            if child(action, "after").is_some() {
                all.push(Mutant {
                    at: format!("{at}/after"),
                    instead: Some("0"),
                });
            }
        }
    }
    all
}

/// Each entry of a list or map gone.
fn each(node: &Node, name: &str, at: &str, all: &mut Vec<Mutant>) {
    all.extend(below(node, name).into_iter().map(|(entry, _)| Mutant {
        at: format!("{at}/{name}/{entry}"),
        instead: None,
    }));
}

/// Each new state gone, and each branch of those that have several.
fn states(node: &Node, at: &str, all: &mut Vec<Mutant>) {
    each(node, "to", at, all);
    let Some(to) = child(node, "to") else { return };
    for (region, branches) in entries(to) {
        if matches!(branches.value, Yaml::List(_)) {
            each(to, &region, &format!("{at}/to"), all);
        }
    }
}

fn entries(node: &Node) -> Vec<(String, &Node)> {
    match &node.value {
        Yaml::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node)).collect(),
        Yaml::List(items) => {
            let numbered = items.iter().enumerate();
            numbered.map(|(at, node)| (at.to_string(), node)).collect()
        }
        _ => Vec::new(),
    }
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    entries(node)
        .into_iter()
        .find_map(|(own, node)| (own == name).then_some(node))
}

fn below<'n>(node: &'n Node, name: &str) -> Vec<(String, &'n Node)> {
    child(node, name).map(entries).unwrap_or_default()
}

/// Takes out what stands at a path, or puts a text there.
fn change(node: &mut Node, path: &[&str], instead: Option<&str>) {
    let Some((first, rest)) = path.split_first() else {
        if let Some(text) = instead {
            node.value = Yaml::Text(text.to_owned());
        }
        return;
    };
    let index = first.parse::<usize>().unwrap_or(usize::MAX);
    match &mut node.value {
        Yaml::Map(entries) if rest.is_empty() && instead.is_none() => entries.retain(|(name, _)| name != first),
        Yaml::List(items) if rest.is_empty() && instead.is_none() && index < items.len() => drop(items.remove(index)),
        Yaml::Map(entries) => {
            if let Some((_, next)) = entries.iter_mut().find(|(name, _)| name == first) {
                change(next, rest, instead);
            }
        }
        Yaml::List(items) => {
            if let Some(next) = items.get_mut(index) {
                change(next, rest, instead);
            }
        }
        _ => {}
    }
}

/// As JSON, which is YAML, too; in the order of the source, in which variables build on each other.
fn text(node: &Node) -> Result<String> {
    let mut out = String::new();
    write(node, &mut out)?;
    Ok(out)
}

fn write(node: &Node, out: &mut String) -> Result<()> {
    match &node.value {
        Yaml::Null | Yaml::Float => out.push_str("null"),
        Yaml::Bool(value) => write!(out, "{value}")?,
        Yaml::Int(value) => write!(out, "{value}")?,
        Yaml::Text(value) => out.push_str(&serde_json::to_string(value)?),
        Yaml::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write(item, out)?;
            }
            out.push(']');
        }
        Yaml::Map(entries) => {
            out.push('{');
            for (place, (name, node)) in entries.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write!(out, "{}:", serde_json::to_string(name)?)?;
                write(node, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}
