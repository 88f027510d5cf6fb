//! Plants mutants in a copy of the invoices crate: every place where a rule could be wrong becomes a switch, and all
//! of them are compiled once. A test in the copy then turns on one after the other (`driver.rs`).
//!
//! Usage: `muniment-invoices-mutants REPOSITORY COPY`; it writes `COPY/invoices/mutants.tsv` (number, file, line, what is
//! changed).

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

mod plant;

/// What is mutated: the rules, and what they stand on.
const MUTATED: [&str; 10] = [
    "src/rules",
    "src/exact.rs",
    "src/engine/facts.rs",
    "src/engine/facts",
    "src/engine/plan.rs",
    "src/engine/run.rs",
    "src/engine/table.rs",
    "src/engine/table",
    "src/codes.rs",
    "src/xml/number.rs",
];

/// Where single rules are dropped, and rows of tables loosened: file, what stands there, what stands there then.
const PATCHES: [(&str, &str, &str); 3] = [
    (
        "src/engine/run.rs",
        "    fn fire(&mut self, rule: &'static Rule, node: Node<'d>) {\n",
        "    fn fire(&mut self, rule: &'static Rule, node: Node<'d>) {\n        if crate::mutant::odd(1, || \
         format!(\"{:?} {} {}\", self.rules.set, self.facts.syntax == crate::Syntax::Cii, rule.id)) { return; }\n",
    ),
    (
        "src/engine/run.rs",
        "        let row = breach.row;\n",
        "        let row = breach.row;\n        if crate::mutant::odd(1, || \
         format!(\"{:?} {} {}\", self.rules.set, self.facts.syntax == crate::Syntax::Cii, row.id)) { return; }\n",
    ),
    (
        "src/engine/table.rs",
        "count > row.most {",
        "count > row.most + usize::from(crate::mutant::odd(2, || row.id.to_owned())) {",
    ),
];

/// The switch: which mutant is on, and which were asked for.
const SWITCH: &str = r#"//! Which mutant is on.
#![allow(clippy::unwrap_used)]
use std::sync::{LazyLock, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
static ON: LazyLock<AtomicU32> = LazyLock::new(|| {
    let named = std::env::var("MUTANT").ok();
    AtomicU32::new(named.and_then(|number| number.parse().ok()).unwrap_or(0))
});
/// Mutants that were asked for.
pub static MET: [AtomicBool; COUNT + 1] = [const { AtomicBool::new(false) }; COUNT + 1];
/// Turns one on; 0 for none.
pub fn turn_on(mutant: u32) {
    ON.store(mutant, Relaxed);
}
/// Something done to one rule: its firings dropped (1), or its bound loosened by one (2).
static ODD: LazyLock<Mutex<(u8, String)>> = LazyLock::new(|| {
    let named = |kind: u8, name: &str| std::env::var(name).ok().map(|rule| (kind, rule));
    let odd = named(1, "MUTANT_DROP").or_else(|| named(2, "MUTANT_LOOSEN")).unwrap_or_default();
    ANY.store(odd.0 != 0, Relaxed);
    Mutex::new(odd)
});
static ANY: AtomicBool = AtomicBool::new(true);
/// Makes one rule odd.
pub fn make_odd(kind: u8, rule: &str) {
    *ODD.lock().unwrap() = (kind, rule.to_owned());
    ANY.store(kind != 0, Relaxed);
}
/// Whether this rule is odd in this way.
pub fn odd(kind: u8, rule: impl FnOnce() -> String) -> bool {
    ANY.load(Relaxed) && {
        let odd = ODD.lock().unwrap();
        ANY.store(odd.0 != 0, Relaxed);
        odd.0 == kind && odd.1 == rule()
    }
}
/// Whether this one is on.
pub fn on(mutant: u32) -> bool {
    MET[mutant as usize].store(true, Relaxed);
    ON.load(Relaxed) == mutant
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = &arguments[..] else {
        return Err("usage: muniment-invoices-mutants REPOSITORY COPY".into());
    };
    let copied = copy_crate(from, to)?;
    for (file, from, with) in PATCHES {
        let path = copied.join(file);
        let source = fs::read_to_string(&path)?;
        if source.matches(from).count() != 1 {
            return Err(format!("{file} does not have `{from}` once: mend PATCHES").into());
        }
        fs::write(&path, source.replace(from, with))?;
    }
    let mut files = Vec::new();
    for part in MUTATED {
        list(&copied.join(part), &mut files)?;
    }
    files.sort();
    let (mut count, mut report) = (0, String::new());
    for file in files {
        let source = fs::read_to_string(&file)?;
        let planted = plant::plant(&source, count).map_err(|error| format!("{}: {error}", file.display()))?;
        fs::write(&file, planted.source)?;
        for mutant in planted.mutants {
            count += 1;
            let file = file.strip_prefix(&copied)?.display();
            writeln!(report, "{count}\t{file}\t{}\t{}", mutant.line, mutant.what)?;
        }
    }
    fs::write(copied.join("mutants.tsv"), report)?;
    let switch = format!("{SWITCH}/// How many there are.\npub const COUNT: usize = {count};\n");
    fs::write(copied.join("src/mutant.rs"), switch)?;
    let library = copied.join("src/lib.rs");
    let source = fs::read_to_string(&library)?;
    fs::write(
        &library,
        format!("#![allow(warnings)]\n{source}#[doc(hidden)]\npub mod mutant;\n"),
    )?;
    append(&copied.join("tests/it/main.rs"), "mod mutate;\n")?;
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("driver.rs");
    fs::copy(driver, copied.join("tests/it/mutate.rs"))?;
    println!("{count} mutants planted in {}", copied.display());
    Ok(())
}

/// The crate in a workspace of its own, with the same dependencies in the same versions.
fn copy_crate(from: &Path, to: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let crate_of = |root: &Path| root.join("invoices");
    for part in ["src", "data", "tests"] {
        copy(&crate_of(from).join(part), &crate_of(to).join(part))?;
    }
    fs::copy(crate_of(from).join("Cargo.toml"), crate_of(to).join("Cargo.toml"))?;
    fs::copy(from.join("Cargo.lock"), to.join("Cargo.lock"))?;
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let lines = manifest.lines().map(|line| match line {
        line if line.starts_with("members") => "members = [\"invoices\"]",
        line if line.starts_with("default-members") => "",
        line => line,
    });
    fs::write(to.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n"))?;
    Ok(crate_of(to))
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            list(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|end| end == "rs") {
        files.push(path.to_owned());
    }
    Ok(())
}

fn append(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let old = fs::read_to_string(path)?;
    Ok(fs::write(path, old + text)?)
}
