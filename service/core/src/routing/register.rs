//! Which mark belongs to whom. A mark is given to nobody else in the same boot: sockets outlive the provisioning
//! domain that they belong to, and the service.

use super::{Mark, MarkSpace};
use crate::event::Ifindex;
use std::collections::BTreeMap;
use std::fmt;

/// What a mark belongs to: a provisioning domain by its Id, on one interface. When it goes and comes back it has the
/// same mark, so that its sockets work again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The interface.
    pub ifindex: Ifindex,
    /// The PvD ID.
    pub id: String,
}

/// All marks that were given out in this boot, as far as is known.
#[derive(Clone, Debug)]
pub struct Register {
    space: MarkSpace,
    by_owner: BTreeMap<Owner, Mark>,
    by_mark: BTreeMap<Mark, Owner>,
    /// Greater than any number that was ever seen.
    next: u32,
}

/// All marks have been given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Register {
    /// A register of `space` in which nothing is known. Number zero is never given out: a mark always differs from
    /// the bare tag.
    pub const fn new(space: MarkSpace) -> Self {
        Self { space, by_owner: BTreeMap::new(), by_mark: BTreeMap::new(), next: 1 }
    }

    /// The bits of its marks.
    pub const fn space(&self) -> MarkSpace {
        self.space
    }

    /// Takes in a line that [`Register::line`] made in an earlier run. `false`: it is none; then nothing of it is
    /// believed but its mark, if one can be read, which is not given out again.
    pub fn remember(&mut self, line: &str) -> bool {
        let mut words = line.splitn(3, ' ');
        let bits = words.next().and_then(|word| word.strip_prefix("0x"));
        let Some(mark) = bits.and_then(|bits| u32::from_str_radix(bits, 16).ok()).map(Mark) else {
            return false;
        };
        self.reserve(mark);
        let ifindex = words.next().and_then(|word| word.parse().ok());
        let (Some(ifindex), Some(id)) = (ifindex, words.next().filter(|id| !id.is_empty())) else {
            return false;
        };
        let owner = Owner { ifindex, id: id.to_owned() };
        if self.by_mark.contains_key(&mark) || self.by_owner.contains_key(&owner) {
            return false;
        }
        // A mark of bits that were configured otherwise leads nowhere any more: its owner gets a new one.
        if self.space.holds(mark.0) {
            self.insert(owner, mark);
        }
        true
    }

    /// Never gives out `mark`, which was found in use by an owner that nobody remembers.
    pub fn reserve(&mut self, mark: Mark) {
        if let Some(number) = self.space.number(mark) {
            self.next = self.next.max(number.saturating_add(1));
        }
    }

    /// Whether any mark of this boot is known.
    pub const fn any(&self) -> bool {
        self.next > 1
    }

    /// The mark of `owner`, if it ever got one.
    pub fn mark_of(&self, owner: &Owner) -> Option<Mark> {
        self.by_owner.get(owner).copied()
    }

    /// Whom `mark` was given to.
    pub fn owner_of(&self, mark: Mark) -> Option<&Owner> {
        self.by_mark.get(&mark)
    }

    /// Gives `owner` a mark. The line is to be written down before the mark is used.
    ///
    /// # Errors
    /// There are no more.
    pub fn give(&mut self, owner: &Owner) -> Result<Mark, Exhausted> {
        if let Some(mark) = self.mark_of(owner) {
            return Ok(mark);
        }
        let mark = self.space.mark(self.next).ok_or(Exhausted)?;
        self.next += 1;
        self.insert(owner.clone(), mark);
        Ok(mark)
    }

    /// Takes the mark back that `owner` was given last and that could not be written down. It was never used.
    pub fn take_back(&mut self, owner: &Owner) {
        let Some(mark) = self.by_owner.remove(owner) else { return };
        self.by_mark.remove(&mark);
        if self.space.number(mark).is_some_and(|number| number + 1 == self.next) {
            self.next -= 1;
        }
    }

    /// What is to be written down of `owner`'s mark: the mark, the interface and the Id, on a line of their own.
    pub fn line(owner: &Owner, mark: Mark) -> String {
        format!("{mark} {} {}\n", owner.ifindex, owner.id)
    }

    fn insert(&mut self, owner: Owner, mark: Mark) {
        self.by_mark.insert(mark, owner.clone());
        self.by_owner.insert(owner, mark);
    }
}

impl std::error::Error for Exhausted {}

impl fmt::Display for Exhausted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "all firewall marks of this boot are used up: give [routing] number-mask more bits and restart \
             the service"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    fn owner(ifindex: Ifindex, id: &str) -> Owner {
        Owner { ifindex, id: id.to_owned() }
    }

    #[test]
    fn an_owner_keeps_its_mark_and_nobody_else_gets_it() {
        let mut register = Register::new(MarkSpace::default());
        let first = register.give(&owner(2, "pvd.example")).unwrap();
        assert_eq!(first, Mark(0x4d00_0001));
        assert_eq!(register.give(&owner(3, "pvd.example")).unwrap(), Mark(0x4d00_0002));
        assert_eq!(register.give(&owner(2, "pvd.example")), Ok(first));
        assert_eq!(register.owner_of(first), Some(&owner(2, "pvd.example")));
    }

    #[test]
    fn a_later_run_remembers() {
        let mut register = Register::new(MarkSpace::default());
        let known = owner(2, "implicit:eth1:ipv4");
        let mark = register.give(&known).unwrap();
        let mut later = Register::new(MarkSpace::default());
        assert!(later.remember(Register::line(&known, mark).trim_end()));
        assert_eq!(later.mark_of(&known), Some(mark));
        later.reserve(Mark(0x4d00_0007));
        assert_eq!(later.give(&owner(2, "other")).unwrap(), Mark(0x4d00_0008));
    }

    #[test]
    fn of_a_line_that_is_damaged_only_the_mark_counts() {
        let mut register = Register::new(MarkSpace::default());
        for line in ["", "rubbish", "0x", "0xzz 1 a", "4d000009 1 a", " 0x4d000009 1 a"] {
            assert!(!register.remember(line), "{line:?}");
        }
        assert_eq!(register.give(&owner(1, "first")), Ok(Mark(0x4d00_0001)));
        for line in ["0x4d000003", "0x4d000004 x a", "0x4d000005 1", "0x4d000005 1 "] {
            assert!(!register.remember(line), "{line:?}");
        }
        assert_eq!(register.give(&owner(1, "second")), Ok(Mark(0x4d00_0006)));
        // The same mark twice, or the same owner: the first one stands.
        assert!(!register.remember("0x4d000006 9 thief"));
        assert!(!register.remember("0x4d000044 1 second"));
        assert_eq!(register.mark_of(&owner(1, "second")), Some(Mark(0x4d00_0006)));
    }

    #[test]
    fn marks_of_bits_that_were_configured_before_are_not_given_again_nor_used() {
        let mut register = Register::new(MarkSpace::new(0x100, 0x100, 0xff).unwrap());
        assert!(register.remember("0x4d000009 1 a"));
        assert_eq!(register.mark_of(&owner(1, "a")), None);
        assert_eq!(register.give(&owner(1, "a")), Ok(Mark(0x101)));
    }

    #[test]
    fn a_mark_that_could_not_be_written_down_was_never_given() {
        let mut register = Register::new(MarkSpace::default());
        let first = register.give(&owner(1, "a")).unwrap();
        let second = register.give(&owner(2, "b")).unwrap();
        register.take_back(&owner(2, "b"));
        assert_eq!((register.mark_of(&owner(2, "b")), register.owner_of(second)), (None, None));
        assert_eq!(register.give(&owner(3, "c")), Ok(second));
        register.take_back(&owner(2, "b"));
        assert_eq!(register.owner_of(second), Some(&owner(3, "c")));
        assert_eq!(register.mark_of(&owner(1, "a")), Some(first));
    }

    #[test]
    fn marks_can_be_used_up() {
        let mut register = Register::new(MarkSpace::new(0x100, 0x100, 0xff).unwrap());
        for number in 1..=255 {
            register.give(&owner(number, "a")).unwrap();
        }
        assert_eq!(register.give(&owner(256, "a")), Err(Exhausted));
        assert!(register.give(&owner(255, "a")).is_ok());
    }

    proptest! {
        /// Whatever the file says, no two owners have one mark, and nothing that it names is given out anew.
        #[test]
        fn no_mark_twice(
            lines in prop::collection::vec("(0x4d0000[0-9a-f]{2}|[0-9a-fx]{0,9})( [0-9]{1,2}( [a-d])?)?", 0..20),
            wanted in prop::collection::vec((0_u32..4, "[a-d]"), 0..20),
        ) {
            let mut register = Register::new(MarkSpace::default());
            for line in &lines {
                register.remember(line);
            }
            for (ifindex, id) in &wanted {
                let new = owner(*ifindex, id);
                let known = register.mark_of(&new);
                let mark = register.give(&new).unwrap();
                prop_assert!(known.is_none_or(|known| known == mark));
                let named = |line: &String| line.split(' ').next() == Some(mark.to_string().as_str());
                prop_assert!(known.is_some() || !lines.iter().any(named));
            }
            let marks: std::collections::BTreeSet<Mark> = register.by_owner.values().copied().collect();
            prop_assert_eq!(marks.len(), register.by_owner.len());
        }
    }
}
