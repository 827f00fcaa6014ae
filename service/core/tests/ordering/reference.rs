//! What is different between two states, and worth saying, by the contract's text (O6). It never looks at a change.

use crate::ear::Difference;
use crate::word::{Said, Word};
use mif_core::pvd::{Pvd, Serial};
use mif_core::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The last state, and what is known of each usable address: its latest deadlines since it was last announced.
#[derive(Debug)]
pub struct Reference {
    snapshot: Snapshot,
    known: BTreeMap<(Serial, IpAddr), Said>,
}

impl Reference {
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut this = Self { snapshot: snapshot.clone(), known: BTreeMap::new() };
        for pvd in snapshot.pvds() {
            this.addresses_of(pvd, &mut Vec::new());
        }
        this
    }

    /// What is different now.
    pub fn see(&mut self, now: &Snapshot) -> Difference {
        let before = std::mem::replace(&mut self.snapshot, now.clone());
        let mut difference = Difference::default();
        for interface in before.interfaces().filter(|view| now.interface(view.serial).is_none()) {
            difference.interfaces_gone.push(interface.serial);
        }
        for interface in now.interfaces().filter(|view| before.interface(view.serial).is_none()) {
            difference.interfaces_new.push(Word::interface(interface));
        }
        for pvd in before.pvds().filter(|pvd| now.pvd(pvd.serial).is_none()) {
            self.known.retain(|(of, _), _| *of != pvd.serial);
            difference.pvds_gone.push(Arc::clone(pvd));
        }
        for pvd in now.pvds() {
            if let Some(former) = before.pvd(pvd.serial) {
                elements_of(former, pvd, &mut difference.elements);
                self.addresses_of(pvd, &mut difference.addresses);
            } else {
                difference.pvds_new.push(Arc::clone(pvd));
                self.addresses_of(pvd, &mut Vec::new());
            }
        }
        difference
    }

    fn addresses_of(&mut self, pvd: &Pvd, words: &mut Vec<(Serial, Word)>) {
        self.known.retain(|(of, address), _| {
            let gone = *of == pvd.serial && pvd.usable_addresses().all(|shown| shown.address != *address);
            if gone {
                words.push((pvd.serial, Word::NoAddress(pvd.serial, *address)));
            }
            !gone
        });
        for shown in pvd.usable_addresses() {
            let key = (pvd.serial, shown.address);
            let now = Said::of(shown);
            match self.known.get_mut(&key) {
                Some(known) if !known.is_outdated_by(&now) => known.moved_later_to(&now),
                Some(_) | None => {
                    self.known.insert(key, now);
                    words.push((pvd.serial, Word::Address(pvd.serial, now)));
                }
            }
        }
    }
}

fn elements_of(before: &Pvd, now: &Pvd, words: &mut Vec<(Serial, Word)>) {
    let serial = now.serial;
    for element in before.elements.keys().filter(|element| !now.elements.contains_key(element)) {
        words.push((serial, Word::NoElement(serial, *element)));
    }
    for (element, configuration) in &now.elements {
        if before.elements.get(element).is_none_or(|known| !known.same_but_times(configuration)) {
            words.push((serial, Word::Element(serial, *element)));
        }
    }
}
