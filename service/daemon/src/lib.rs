//! `mifd`: the shell around `mif-core`. Everything here does I/O and decides nothing that the core could decide.

pub mod clock;
pub mod request;
pub mod socket;
pub mod source;
pub mod translate;
