//! The list of rows changes by as little as possible, so that selection, focus and scroll position stay.

use std::collections::HashMap;
use std::hash::Hash;

use zbus::OwnedObjectPath;

/// What a row of the list is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// An interface.
    Interface(OwnedObjectPath),
    /// A provisioning domain.
    Pvd(OwnedObjectPath),
}

/// A step from one list to another: at `position` (of the list as it is by then) `removed` items go and `added`
/// items of the new list, from `from` on, come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where.
    pub position: usize,
    /// How many go.
    pub removed: usize,
    /// Where they are in the new list.
    pub from: usize,
    /// How many come.
    pub added: usize,
}

/// The steps that turn `old` into `new`. Items in both lists, in the same order, are left alone.
pub fn splices<K: Eq + Hash>(old: &[K], new: &[K]) -> Vec<Splice> {
    let places: HashMap<&K, usize> = new.iter().enumerate().map(|(index, key)| (key, index)).collect();

    let mut steps = Vec::new();
    // How far both lists are done; the list as it is by then has `new_done` items before the rest of `old`.
    let mut new_done = 0;
    let mut removed = 0;
    for key in old {
        match places.get(key) {
            Some(&index) if index >= new_done => {
                push(&mut steps, new_done, removed, index - new_done);
                (new_done, removed) = (index + 1, 0);
            }
            _ => removed += 1,
        }
    }
    push(&mut steps, new_done, removed, new.len() - new_done);
    steps
}

fn push(steps: &mut Vec<Splice>, done: usize, removed: usize, added: usize) {
    if removed > 0 || added > 0 {
        steps.push(Splice { position: done, removed, from: done, added });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn carried_out(old: &[u8], new: &[u8]) -> (Vec<u8>, usize) {
        let mut list = old.to_vec();
        let steps = splices(old, new);
        let mut touched = 0;
        for Splice { position, removed, from, added } in steps {
            list.splice(position..position + removed, new[from..from + added].iter().copied());
            touched += removed + added;
        }
        (list, touched)
    }

    #[test]
    fn one_that_comes_or_goes_touches_no_other() {
        assert_eq!(carried_out(&[1, 2, 3], &[1, 2, 9, 3]), (vec![1, 2, 9, 3], 1));
        assert_eq!(carried_out(&[1, 2, 3], &[1, 3]), (vec![1, 3], 1));
        assert_eq!(carried_out(&[1, 2, 3], &[1, 2, 3]), (vec![1, 2, 3], 0));
    }

    proptest! {
        #[test]
        fn the_steps_lead_to_the_new_list(
            old in proptest::collection::btree_set(0_u8..40, 0..20).prop_map(Vec::from_iter).prop_shuffle(),
            new in proptest::collection::btree_set(0_u8..40, 0..20).prop_map(Vec::from_iter).prop_shuffle(),
        ) {
            prop_assert_eq!(carried_out(&old, &new).0, new);
        }

        #[test]
        fn in_sorted_lists_what_is_in_both_is_left_alone(
            old in proptest::collection::btree_set(0_u8..40, 0..20).prop_map(Vec::from_iter),
            new in proptest::collection::btree_set(0_u8..40, 0..20).prop_map(Vec::from_iter),
        ) {
            let common = old.iter().filter(|key| new.contains(key)).count();
            prop_assert_eq!(carried_out(&old, &new).1, old.len() + new.len() - 2 * common);
        }
    }
}
