//! Values as bytes (D-Bus Specification, "Marshaling"), in the byte order of this machine.

use std::collections::BTreeMap;
use zbus::ObjectPath;

/// A message as it is written. What lies in it is aligned from its beginning on.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty one, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// How many bytes there are.
    pub const fn length(&self) -> usize {
        self.0.len()
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Pads up to a multiple of `alignment` bytes.
    pub fn align(&mut self, alignment: usize) {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
    }

    /// An array of what `elements` writes, each of which is aligned to `alignment`.
    pub fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.align(4);
        let length_at = self.0.len();
        self.put(&[0; 4]);
        // Not counted, and there without an element, too.
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        // No array is larger than a message, and that is looked at.
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// An entry of a dictionary, which is an array with an alignment of [`STRUCTURE`].
    pub fn entry(&mut self, key: &(impl Marshal + ?Sized), value: &(impl Marshal + ?Sized)) {
        self.align(STRUCTURE);
        key.marshal(self);
        value.marshal(self);
    }

    /// A signature.
    pub fn signature(&mut self, signature: &str) {
        // Those of the contract are far from the 255 characters that there may be.
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.put(signature.as_bytes());
        self.0.push(0);
    }

    fn text(&mut self, text: &str) {
        u32::try_from(text.len()).unwrap_or(u32::MAX).marshal(self);
        self.put(text.as_bytes());
        self.0.push(0);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// How structures and entries of dictionaries are aligned.
pub const STRUCTURE: usize = 8;

/// A value of one complete type.
pub trait Marshal {
    /// To what it is aligned, in bytes.
    const ALIGNMENT: usize;

    /// Appends its signature.
    fn signature(out: &mut String);

    /// Writes it, with the padding in front.
    fn marshal(&self, out: &mut Writer);
}

/// The arguments of a message: none, or several.
pub trait Body {
    /// Appends their signatures.
    fn signature(&self, out: &mut String);

    /// Writes them.
    fn marshal(&self, out: &mut Writer);
}

/// The number of a descriptor among those that go with the message.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor(pub u32);

/// A body that was written before.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Its signature.
    pub signature: &'a str,
    /// What was written.
    pub bytes: &'a [u8],
}

impl Body for Raw<'_> {
    fn signature(&self, out: &mut String) {
        out.push_str(self.signature);
    }

    fn marshal(&self, out: &mut Writer) {
        out.put(self.bytes);
    }
}

macro_rules! numbers {
    ($($type:ty: $signature:literal,)*) => {
        $(impl Marshal for $type {
            const ALIGNMENT: usize = size_of::<Self>();

            fn signature(out: &mut String) {
                out.push($signature);
            }

            fn marshal(&self, out: &mut Writer) {
                out.align(Self::ALIGNMENT);
                out.put(&self.to_ne_bytes());
            }
        })*
    };
}

numbers! {
    u8: 'y',
    u16: 'q',
    i32: 'i',
    u32: 'u',
    u64: 't',
}

/// What is written as something else, under a signature of its own.
macro_rules! written_as {
    ($($type:ty: $signature:literal = $as:ty, |$this:ident| $value:expr;)*) => {
        $(impl Marshal for $type {
            const ALIGNMENT: usize = <$as as Marshal>::ALIGNMENT;

            fn signature(out: &mut String) {
                out.push($signature);
            }

            fn marshal(&self, out: &mut Writer) {
                let $this = self;
                Marshal::marshal($value, out);
            }
        })*
    };
}

written_as! {
    bool: 'b' = u32, |this| &u32::from(*this);
    Descriptor: 'h' = u32, |this| &this.0;
    String: 's' = str, |this| this.as_str();
    ObjectPath<'_>: 'o' = str, |this| this.as_str();
}

impl Marshal for str {
    const ALIGNMENT: usize = 4;

    fn signature(out: &mut String) {
        out.push('s');
    }

    fn marshal(&self, out: &mut Writer) {
        out.text(self);
    }
}

impl<T: Marshal + ?Sized> Marshal for &T {
    const ALIGNMENT: usize = T::ALIGNMENT;

    fn signature(out: &mut String) {
        T::signature(out);
    }

    fn marshal(&self, out: &mut Writer) {
        (**self).marshal(out);
    }
}

impl<T: Marshal> Marshal for [T] {
    const ALIGNMENT: usize = 4;

    fn signature(out: &mut String) {
        out.push('a');
        T::signature(out);
    }

    fn marshal(&self, out: &mut Writer) {
        out.array(T::ALIGNMENT, |out| self.iter().for_each(|element| element.marshal(out)));
    }
}

impl<T: Marshal> Marshal for Vec<T> {
    const ALIGNMENT: usize = <[T]>::ALIGNMENT;

    fn signature(out: &mut String) {
        <[T]>::signature(out);
    }

    fn marshal(&self, out: &mut Writer) {
        self.as_slice().marshal(out);
    }
}

impl<K: Marshal, V: Marshal> Marshal for BTreeMap<K, V> {
    const ALIGNMENT: usize = 4;

    fn signature(out: &mut String) {
        out.push_str("a{");
        K::signature(out);
        V::signature(out);
        out.push('}');
    }

    fn marshal(&self, out: &mut Writer) {
        out.array(STRUCTURE, |out| self.iter().for_each(|(key, value)| out.entry(key, value)));
    }
}

impl Body for () {
    fn signature(&self, _: &mut String) {}

    fn marshal(&self, _: &mut Writer) {}
}

/// Several values: as arguments of a message, and as a structure.
macro_rules! tuples {
    ($($($name:ident)+;)*) => {
        $(
            #[allow(non_snake_case)]
            impl<$($name: Marshal),+> Body for ($($name,)+) {
                fn signature(&self, out: &mut String) {
                    $($name::signature(out);)+
                }

                fn marshal(&self, out: &mut Writer) {
                    let ($($name,)+) = self;
                    $($name.marshal(out);)+
                }
            }

            impl<$($name: Marshal),+> Marshal for ($($name,)+) {
                const ALIGNMENT: usize = STRUCTURE;

                fn signature(out: &mut String) {
                    out.push('(');
                    $($name::signature(out);)+
                    out.push(')');
                }

                fn marshal(&self, out: &mut Writer) {
                    out.align(STRUCTURE);
                    Body::marshal(self, out);
                }
            }
        )*
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;
    use zbus::wire::serialized::Context;
    use zbus::wire::{DynamicType, NATIVE_ENDIAN, to_bytes};

    fn written(value: &(impl Marshal + ?Sized)) -> Vec<u8> {
        let mut out = Writer::with_capacity(0);
        value.marshal(&mut out);
        out.into_bytes()
    }

    fn signature_of<T: Marshal>(_: &T) -> String {
        let mut signature = String::new();
        T::signature(&mut signature);
        signature
    }

    /// zbus writes the same, and calls it the same.
    fn check<T: Marshal + Serialize + DynamicType>(value: &T) {
        let expected = to_bytes(Context::new(NATIVE_ENDIAN, 0), value).unwrap();
        assert_eq!(written(value), expected.bytes());
        assert_eq!(signature_of(value), value.signature().to_string());
    }

    proptest! {
        #[test]
        fn all_is_written_as_zbus_writes_it(
            numbers in any::<(u8, u16, i32, u32, u64)>(),
            truth in any::<bool>(),
            text in "[^\0]{0,9}",
            texts in proptest::collection::vec("[^\0]{0,9}", 0..4),
            lifetimes in proptest::collection::btree_map("[^\0]{0,9}", any::<(u64, u64)>(), 0..4),
            counts in proptest::collection::btree_map("[a-z]{0,9}", any::<u32>(), 0..4),
            structures in proptest::collection::vec((any::<u8>(), "[^\0]{0,9}"), 0..4),
        ) {
            check(&numbers);
            check(&(1_u8, truth, 2_u8));
            check(&(1_u8, text.as_str(), text.clone()));
            check(&(1_u8, ObjectPath::from_static_str_unchecked("/a/b"), 2_u64));
            check(&(1_u8, texts.clone(), 2_u8));
            check(&(1_u8, lifetimes.clone(), 2_u8));
            check(&(counts.clone(), vec![counts]));
            check(&(1_u8, structures.clone(), vec![structures]));
        }
    }

    #[test]
    fn arguments_are_no_structure() {
        let body = (1_u8, "two");
        let mut signature = String::new();
        Body::signature(&body, &mut signature);
        assert_eq!(signature, "ys");
        Body::signature(&(), &mut signature);
        assert_eq!(signature, "ys");
    }

    #[test]
    fn what_was_written_before_is_written_again() {
        let raw = Raw { signature: "s", bytes: &written("again") };
        let mut out = Writer::with_capacity(0);
        raw.marshal(&mut out);
        assert_eq!(out.into_bytes(), written("again"));
    }
}
