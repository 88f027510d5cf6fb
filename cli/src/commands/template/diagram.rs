//! `muniment template diagram`: the states of a template as a picture.

use std::path::PathBuf;

use muniment_ledger::template::Template;
use muniment_ledger::toolkit::diagram;

use super::{read_template, unusable};
use crate::error::Result;
use crate::output::Output;
use crate::target::Target;

/// Draws the states of a template and what leads from one to the other.
#[derive(clap::Args)]
pub struct Args {
    /// The template; `-` is stdin.
    file: PathBuf,
    /// Kind of picture.
    #[arg(long, value_enum, default_value_t = Format::Svg)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

/// Kinds of pictures.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A picture that any browser shows.
    Svg,
    /// Text for Mermaid, `stateDiagram-v2`.
    Mermaid,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<()> {
    let source = read_template(&args.file)?;
    let template =
        Template::check(&source).map_err(|mistakes| unusable(&args.file, &source, "bad_template", &mistakes))?;
    let picture = match args.format {
        Format::Svg => diagram::svg(&template),
        Format::Mermaid => diagram::mermaid(&template),
    };
    args.target.deliver(picture.as_bytes(), output)
}
