//! Memory that starting took and running does not need goes back to the system.
//!
//! A start reads and derives everything at once, and so does a reply that holds every object. What that leaves behind
//! would stay with the process for as long as it runs.

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

/// Gives back what is free.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator gives back pages that nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays() {
        prepare();
        let large = vec![7_u8; 1 << 20];
        drop(vec![8_u8; 1 << 20]);
        give_back();
        assert_eq!(large.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 7 << 20);
    }
}
