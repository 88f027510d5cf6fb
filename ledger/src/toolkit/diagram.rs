//! Pictures of a template's state machines: Mermaid text, and SVG.
//!
//! The same template gives the same bytes. One picture for each region: they move independently.

mod svg;

use std::fmt::Write;

pub use svg::svg;

use super::moves::{self, From, Move};
use crate::template::{Region, Template};

/// The action, and the reference through which it moves the record.
fn label(step: &Move<'_>) -> String {
    match step.of {
        Some(of) => format!("{} ({of})", step.action.name),
        None => step.action.name.clone(),
    }
}

/// A Mermaid `stateDiagram-v2`, with one composite state for each region.
pub fn mermaid(template: &Template) -> String {
    let mut text = "stateDiagram-v2\n    direction LR\n".to_owned();
    for region in &template.regions {
        let _ = region_text(&mut text, region, &moves::of(template, region));
    }
    text
}

fn region_text(text: &mut String, region: &Region, moves: &[Move<'_>]) -> std::fmt::Result {
    // Ids are unique over the whole diagram, names of states only within their region.
    let id = |state: &str| format!("{}_{state}", region.name);
    writeln!(text, "    state \"{0}\" as {0} {{", region.name)?;
    for state in &region.states {
        writeln!(text, "        state \"{state}\" as {}", id(state))?;
    }
    for step in moves {
        let from: Vec<String> = match &step.from {
            From::New => vec!["[*]".to_owned()],
            From::States(from) => from.iter().map(|from| id(from)).collect(),
            From::Any => region.states.iter().map(|from| id(from)).collect(),
        };
        for from in from {
            writeln!(text, "        {from} --> {} : {}", id(step.to), label(step))?;
        }
    }
    writeln!(text, "    }}")
}
