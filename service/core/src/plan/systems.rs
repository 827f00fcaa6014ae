//! The systems that know names (the draft, 2.2.8).

use std::fmt;

/// A system that knows names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// DNS.
    Dns,
    /// The host table.
    Hosts,
    /// Multicast DNS (RFC 6762).
    Mdns,
    /// Link-local multicast name resolution (RFC 4795).
    Llmnr,
    /// NIS.
    Nis,
}

impl System {
    /// All, in the order in which the contract names them.
    pub const ALL: [Self; 5] = [Self::Dns, Self::Hosts, Self::Mdns, Self::Llmnr, Self::Nis];

    /// The word of the D-Bus contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Hosts => "hosts",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::Nis => "nis",
        }
    }

    /// The system that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.word() == word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Systems(u8);

impl Systems {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self::NONE
        .with(System::Dns)
        .with(System::Hosts)
        .with(System::Mdns)
        .with(System::Llmnr)
        .with(System::Nis);

    /// This set and `system`.
    #[must_use]
    pub const fn with(self, system: System) -> Self {
        Self(self.0 | system.bit())
    }

    /// What is in either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set but `system`.
    #[must_use]
    pub const fn without(self, system: System) -> Self {
        Self(self.0 & !system.bit())
    }

    /// Whether `system` is in it.
    pub const fn contains(self, system: System) -> bool {
        self.0 & system.bit() != 0
    }

    /// Those in it, in the order in which the contract names them.
    pub fn iter(self) -> impl Iterator<Item = System> {
        System::ALL.into_iter().filter(move |system| self.contains(*system))
    }
}

/// `dns, hosts`.
impl fmt::Display for Systems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, system) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{}", system.word())?;
        }
        Ok(())
    }
}
