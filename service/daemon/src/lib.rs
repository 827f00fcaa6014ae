//! `mifd`: the shell around `mif-core`. Everything here does I/O and decides nothing that the core could decide.

pub mod batches;
pub mod bus;
pub mod clock;
pub mod config;
pub mod connection;
pub mod daemon;
pub mod journal;
pub mod memory;
pub mod recorder;
pub mod reload;
pub mod request;
pub mod routing;
pub mod socket;
pub mod source;
pub mod supervisor;
pub mod translate;
