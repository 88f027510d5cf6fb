//! stub
#[derive(clap::Args)]
pub struct Args {}
pub fn run(_args: Args, _output: crate::output::Output) -> crate::error::Result<bool> {
    Ok(true)
}
