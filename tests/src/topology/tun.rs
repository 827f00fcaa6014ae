//! TUN devices, as VPN clients make them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use crate::node::Node;

/// TUNSETIFF of linux/if_tun.h.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;

/// The longest packet.
const LONGEST: usize = 65_535;

/// A TUN device. It has a carrier as long as this lives.
#[derive(Debug)]
pub struct Tun {
    file: File,
}

impl Tun {
    /// Makes the device `name` on `node`; the test brings it up.
    ///
    /// # Panics
    /// When there is no /dev/net/tun, or the caller may not.
    pub fn on(node: &Node, name: &str) -> Self {
        let file =
            node.within(|| open(name)).unwrap_or_else(|error| panic!("make the TUN device {name}: {error}"));
        Self { file }
    }

    /// Joins two devices to one tunnel: what goes into one comes out of the other. It lasts as long as the universe.
    ///
    /// # Panics
    /// When a file cannot be shared.
    pub fn join(self, other: Self) {
        let shared = |tun: &Self| tun.file.try_clone().expect("a second descriptor");
        let (there, back) = ((shared(&self), shared(&other)), (other, self));
        std::thread::spawn(move || carry(there.0, there.1));
        std::thread::spawn(move || carry(back.0.file, back.1.file));
    }
}

fn open(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: ifreq is plain data, for which all zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::try_from(from).map_err(io::Error::other)?;
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).map_err(io::Error::other)?;
    // SAFETY: the request lives through the call, which reads and writes an ifreq and keeps nothing of it.
    match unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

/// One packet at a time, until a device is gone. One that is down loses packets.
fn carry(mut from: File, mut to: File) {
    let mut packet = vec![0; LONGEST];
    while let Ok(length) = from.read(&mut packet) {
        let _ = to.write(&packet[..length]);
    }
}
