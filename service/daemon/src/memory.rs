//! Memory that starting took and running does not need goes back to the system.
//!
//! A start reads and derives everything at once, and so does a reply that holds every object. What that leaves behind
//! would stay with the process for as long as it runs. So would the code that only starting runs.

use std::ffi::c_void;
use std::ops::Range;

/// What is larger has a mapping of its own, which ends with it.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 256 << 10;

/// Has large pieces of memory go back as soon as they are not needed. To be called before there is any: left to itself
/// glibc keeps pieces as large as the largest that it has seen go.
pub fn prepare() {
    #[cfg(target_env = "gnu")]
    // SAFETY: these set numbers of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

/// Gives back what is free, and the pages of the program and its libraries: those that it goes on using it finds again in
/// the system's memory of the files.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator gives back pages that nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
    for Range { start, end } in read_only() {
        // SAFETY: these pages are what their file says: they cannot be written to, and nothing was relocated in them.
        // They are read from it again when they are next used.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(start), end - start, libc::MADV_DONTNEED);
        }
    }
}

/// The whole pages of what was loaded from files to be read and run, but not to be written to.
fn read_only() -> Vec<Range<usize>> {
    unsafe extern "C" fn note(
        object: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        found: *mut c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes on an object of its list, and what `read_only` gave it.
        let (object, found) = unsafe { (&*object, &mut *found.cast::<Vec<Range<usize>>>()) };
        // SAFETY: the loader gives as many headers as it says.
        let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
        let loaded = headers.iter().filter(|header| {
            header.p_type == libc::PT_LOAD && header.p_flags & (libc::PF_R | libc::PF_W) == libc::PF_R
        });
        found.extend(loaded.filter_map(|header| {
            let start = usize::try_from(object.dlpi_addr.checked_add(header.p_vaddr)?).ok()?;
            let end = start.checked_add(usize::try_from(header.p_filesz).ok()?)?;
            whole_pages(start..end)
        }));
        0
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    // SAFETY: `note` is called with `found` only, and before this returns.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut found).cast()) };
    found
}

/// At both ends there may be pages that hold something else, too.
fn whole_pages(bytes: Range<usize>) -> Option<Range<usize>> {
    // SAFETY: asks for a number of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok().filter(|page| *page > 0)?;
    let (start, end) = (bytes.start.checked_next_multiple_of(page)?, bytes.end - bytes.end % page);
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_held_stays() {
        prepare();
        let large = vec![7_u8; 1 << 20];
        drop(vec![8_u8; 1 << 20]);
        give_back();
        assert_eq!(large.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 7 << 20);
    }

    #[test]
    fn what_is_run_and_read_is_found_and_what_is_written_is_not() {
        static CONSTANT: [u8; 3 * 65_536] = [7; 3 * 65_536];
        static mut VARIABLE: [u8; 3 * 65_536] = [7; 3 * 65_536];
        let found = read_only();
        let has = |address: usize| found.iter().any(|range| range.contains(&address));
        assert!(has(give_back as fn() as usize), "code");
        assert!(has((&raw const CONSTANT).addr() + 65_536), "constants");
        assert!(!has((&raw const VARIABLE).addr() + 65_536), "variables");
        assert!(!has((&raw const found).addr()), "the stack");
        // What is relocated looks as read-only as constants do, but is not what the file says.
        static RELOCATED: [&str; 8_192] = ["relocated"; 8_192];
        assert!(!has((&raw const RELOCATED).addr() + 65_536), "what is relocated");
        give_back();
        assert_eq!((CONSTANT[65_536], RELOCATED[4_096]), (7, "relocated"));
    }

    #[test]
    fn pages_that_hold_something_else_are_left_out() {
        assert_eq!(whole_pages(0x1_0000..0x3_0000), Some(0x1_0000..0x3_0000));
        assert_eq!(whole_pages(1..0x2_0001), Some(whole_pages(1..0x2_0000).unwrap().start..0x2_0000));
        assert_eq!(whole_pages(1..2), None);
    }
}
