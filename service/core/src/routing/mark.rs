//! Marks and the bits that they are made of.

use std::fmt;

/// The fewest bits of numbers: less would soon be used up, as no number is given out twice in a boot.
const FEWEST_NUMBER_BITS: u32 = 8;

/// The firewall mark (SO_MARK) of a provisioning domain's sockets. Its table has the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u32);

/// Which bits of firewall marks are this service's: a tag that says so, and a number. All others belong to other
/// software, which uses marks as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkSpace {
    tag: u32,
    tag_mask: u32,
    number_mask: u32,
}

/// Why bits cannot be used for marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMarks {
    /// The tag is zero, as in the marks of everybody who uses none.
    NoTag,
    /// The tag has bits that its mask has not.
    TagOutsideMask,
    /// The two masks share bits.
    Overlap,
    /// Too few bits are left for numbers; how many.
    FewNumbers(u32),
}

impl Default for MarkSpace {
    /// 0x4d (an M) in the highest octet, the number in the two lowest. The octet between is left alone: it has the
    /// marks of other software that is often found on hosts.
    fn default() -> Self {
        Self { tag: 0x4d00_0000, tag_mask: 0xff00_0000, number_mask: 0x0000_ffff }
    }
}

impl MarkSpace {
    /// Marks whose bits in `tag_mask` are `tag`, with numbers in the bits of `number_mask`.
    ///
    /// # Errors
    /// Such marks could not be told from those of others, or would soon be used up.
    pub const fn new(tag: u32, tag_mask: u32, number_mask: u32) -> Result<Self, BadMarks> {
        if tag == 0 {
            Err(BadMarks::NoTag)
        } else if tag & !tag_mask != 0 {
            Err(BadMarks::TagOutsideMask)
        } else if tag_mask & number_mask != 0 {
            Err(BadMarks::Overlap)
        } else if number_mask.count_ones() < FEWEST_NUMBER_BITS {
            Err(BadMarks::FewNumbers(number_mask.count_ones()))
        } else {
            Ok(Self { tag, tag_mask, number_mask })
        }
    }

    /// The bits by which marks of this service are known.
    pub const fn tag(self) -> u32 {
        self.tag
    }

    /// Where those bits are.
    pub const fn tag_mask(self) -> u32 {
        self.tag_mask
    }

    /// All bits that a mark of this service sets; those outside may be anybody's.
    pub const fn mask(self) -> u32 {
        self.tag_mask | self.number_mask
    }

    /// Whether `bits` are a mark that this space could have given out.
    pub const fn holds(self, bits: u32) -> bool {
        bits & !self.mask() == 0 && bits & self.tag_mask == self.tag
    }

    /// The mark with this number; `None` when it has more bits than there is room for.
    pub fn mark(self, number: u32) -> Option<Mark> {
        let mut bits = self.tag;
        let mut rest = number;
        let mut room = self.number_mask;
        while room != 0 && rest != 0 {
            let lowest = room & room.wrapping_neg();
            if rest & 1 != 0 {
                bits |= lowest;
            }
            rest >>= 1;
            room ^= lowest;
        }
        (rest == 0).then_some(Mark(bits))
    }

    /// The number of `mark`; `None` for one of another space.
    pub fn number(self, mark: Mark) -> Option<u32> {
        let Mark(bits) = mark;
        if !self.holds(bits) {
            return None;
        }
        let places = (0..u32::BITS).filter(|place| self.number_mask >> place & 1 != 0);
        Some(places.enumerate().map(|(index, place)| (bits >> place & 1) << index).sum())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#010x}", self.0)
    }
}

impl std::error::Error for BadMarks {}

impl fmt::Display for BadMarks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTag => {
                write!(out, "mark-tag is 0, which marks of others have too: give it a bit of tag-mask")
            }
            Self::TagOutsideMask => write!(out, "mark-tag has bits that tag-mask has not"),
            Self::Overlap => write!(out, "tag-mask and number-mask have bits in common"),
            Self::FewNumbers(bits) => {
                write!(out, "number-mask has {bits} bits: give it at least {FEWEST_NUMBER_BITS}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_is_one_that_could_be_configured() {
        let usual = MarkSpace::default();
        assert_eq!(MarkSpace::new(usual.tag, usual.tag_mask, usual.number_mask), Ok(usual));
        assert_eq!(usual.mark(1), Some(Mark(0x4d00_0001)));
        assert_eq!(usual.mark(0xffff), Some(Mark(0x4d00_ffff)));
        assert_eq!(usual.mark(0x1_0000), None);
        assert_eq!(usual.number(Mark(0x4d01_0001)), None);
        assert_eq!(usual.number(Mark(0x4e00_0001)), None);
        assert_eq!(Mark(0x4d00_0001).to_string(), "0x4d000001");
    }

    #[test]
    fn bits_that_would_not_do() {
        assert_eq!(MarkSpace::new(0, 0xff, 0xff00), Err(BadMarks::NoTag));
        assert_eq!(MarkSpace::new(0x100, 0xff, 0xff00), Err(BadMarks::TagOutsideMask));
        assert_eq!(MarkSpace::new(1, 0xff, 0xff80), Err(BadMarks::Overlap));
        assert_eq!(MarkSpace::new(1, 0xff, 0x7f00), Err(BadMarks::FewNumbers(7)));
    }

    proptest! {
        /// Any bits at all: numbers come back, marks are all different and touch nobody else's bits.
        #[test]
        fn a_mark_is_its_number(tag_mask: u32, tag: u32, number_mask: u32, one: u32, other: u32) {
            let Ok(space) = MarkSpace::new(tag & tag_mask, tag_mask, number_mask & !tag_mask) else {
                return Ok(());
            };
            let Some(mark) = space.mark(one) else {
                prop_assert!(one.checked_shr(space.number_mask.count_ones()).unwrap_or(0) != 0);
                return Ok(());
            };
            prop_assert_eq!(mark.0 & !space.mask(), 0);
            prop_assert!(space.holds(mark.0));
            prop_assert_eq!(space.number(mark), Some(one));
            prop_assert_eq!(space.mark(other) == Some(mark), one == other);
        }
    }
}
