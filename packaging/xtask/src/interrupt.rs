//! Being asked to end, by Ctrl-C or otherwise, without leaving anything behind.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From here on a request to end is only noted: see [`requested`]. Programs started later are not
/// touched by this, as a handler ends with exec; a blocked signal would stay blocked in them.
pub fn catch() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores into an atomic, which is async-signal-safe.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Whether this program was asked to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

extern "C" fn note(_signal: c_int) {
    REQUESTED.store(true, Ordering::Relaxed);
}
