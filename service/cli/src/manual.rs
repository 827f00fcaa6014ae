//! `mifctl manual`: the manual pages, for packages.

use std::path::Path;

use clap::CommandFactory;

use crate::args::Arguments;
use crate::failure::Failure;

/// Writes mifctl.1 and a page for each verb.
pub fn run(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::Output)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(Failure::Output)
}
