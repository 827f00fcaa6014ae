//! Raw sockets for UDP: their packets carry a UDP header of ours, and they hear copies of the packets that are for this
//! host, whoever has the port.

use super::super::readiness;
use mif_core::dhcp::{v4, v6};
use mif_core::event::Ifindex;
use nix::errno::Errno;
use nix::net::if_::if_indextoname;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SetSockOpt, SockFlag, SockType, recv, setsockopt, socket as new_socket,
};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Type};
use std::ffi::CString;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Source port, destination port, length, checksum.
const UDP_HEADER: usize = 8;
const MAX_PACKET: usize = 65_535;
/// RFC 3542 3.1: where the kernel is to put the checksum.
const IPV6_CHECKSUM: libc::c_int = 7;
const CHECKSUM_AT: libc::c_int = 6;

/// The link that is asked on.
pub(super) struct Link {
    ifindex: Ifindex,
    name: CString,
}

impl Link {
    /// The link of this number.
    pub(super) fn of(ifindex: Ifindex) -> io::Result<Self> {
        Ok(Self { ifindex, name: if_indextoname(ifindex)? })
    }

    /// Its hardware address, when it has one as Ethernet has.
    pub(super) fn hardware_address(&self) -> io::Result<[u8; 6]> {
        let socket = new_socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        // SAFETY: all zeros are a value of every field of an ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
        room.zip(self.name.as_bytes()).for_each(|(to, from)| *to = from.cast_signed());
        // SAFETY: this request reads the name of an ifreq, which ends with zero, and writes its address.
        Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) })?;
        // SAFETY: the kernel has written this field.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        if address.sa_family != libc::ARPHRD_ETHER {
            return Err(io::Error::other("its hardware has no Ethernet address"));
        }
        let mut hardware = [0; 6];
        hardware.iter_mut().zip(address.sa_data).for_each(|(to, from)| *to = from.cast_unsigned());
        Ok(hardware)
    }
}

/// The place of the checksum in a raw IPv6 packet, which nix does not know.
#[derive(Clone, Copy, Debug)]
struct Checksum;

impl SetSockOpt for Checksum {
    type Val = libc::c_int;

    fn set<F: AsFd>(&self, socket: &F, offset: &libc::c_int) -> nix::Result<()> {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        let value = std::ptr::from_ref(offset).cast();
        // SAFETY: the option takes an int and does not keep it.
        let result = unsafe {
            libc::setsockopt(socket.as_fd().as_raw_fd(), libc::IPPROTO_IPV6, IPV6_CHECKSUM, value, length)
        };
        Errno::result(result).map(drop)
    }
}

/// A socket to the servers of one link.
pub(super) struct Socket {
    io: AsyncFd<OwnedFd>,
    servers: SockAddr,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    client: u16,
    server: u16,
    /// What comes in begins with an IPv4 header.
    ipv4: bool,
}

impl Socket {
    /// One for DHCPv4, from `address`.
    pub(super) fn ipv4(link: &Link, address: Ipv4Addr) -> io::Result<Self> {
        let ports = Ports { client: v4::CLIENT_PORT, server: v4::SERVER_PORT, ipv4: true };
        let socket = open(link, Domain::IPV4, ports)?;
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
        socket.set_broadcast(true)?;
        let servers = SocketAddrV4::new(Ipv4Addr::BROADCAST, 0).into();
        Ok(Self { io: readiness::readable(OwnedFd::from(socket))?, servers, ports })
    }

    /// One for DHCPv6, from the link-local address that the kernel chooses.
    pub(super) fn ipv6(link: &Link) -> io::Result<Self> {
        let ports = Ports { client: v6::CLIENT_PORT, server: v6::SERVER_PORT, ipv4: false };
        let socket = open(link, Domain::IPV6, ports)?;
        setsockopt(&socket, Checksum, &CHECKSUM_AT)?;
        socket.set_multicast_loop_v6(false)?;
        let servers = SocketAddrV6::new(v6::ALL_SERVERS, 0, 0, link.ifindex).into();
        Ok(Self { io: readiness::readable(OwnedFd::from(socket))?, servers, ports })
    }

    /// Sends a message to all servers of the link.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(UDP_HEADER + message.len()).map_err(io::Error::other)?;
        let mut datagram = Vec::with_capacity(usize::from(length));
        datagram.extend(self.ports.client.to_be_bytes());
        datagram.extend(self.ports.server.to_be_bytes());
        datagram.extend(length.to_be_bytes());
        // Over IPv4 it need not be there (RFC 768); over IPv6 the kernel puts it in.
        datagram.extend([0, 0]);
        datagram.extend_from_slice(message);
        let socket = socket2::SockRef::from(self.io.get_ref());
        socket.send_to(&datagram, &self.servers).map(drop)
    }

    /// Waits for a message of which `choose` makes something.
    pub(super) async fn receive<T>(&self, choose: impl Fn(&[u8]) -> Option<T>) -> io::Result<T> {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let mut ready = self.io.readable().await?;
            let received = ready.try_io(|io| {
                recv(io.get_ref().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
            });
            let Ok(length) = received else { continue };
            let packet = buffer.get(..length?).unwrap_or_default();
            if let Some(chosen) = self.ports.message(packet).and_then(&choose) {
                return Ok(chosen);
            }
        }
    }
}

impl Ports {
    /// The message in a packet to the port of clients. From which port it comes is not said for servers and relays.
    fn message(self, packet: &[u8]) -> Option<&[u8]> {
        let header = if self.ipv4 { usize::from(packet.first()? & 0x0f) * 4 } else { 0 };
        let ([_, _, high, low, ..], message) = packet.get(header..)?.split_first_chunk::<UDP_HEADER>()?;
        (u16::from_be_bytes([*high, *low]) == self.client).then_some(message)
    }

    /// A program for the kernel that lets only packets to the port of clients in: a raw socket hears all of UDP.
    fn filter(self) -> Vec<SockFilter> {
        // BPF_LDX|BPF_B|BPF_MSH 0: X = length of the IPv4 header.
        let header_length = SockFilter::new(0xb1, 0, 0, 0);
        // BPF_LD|BPF_H|BPF_IND 2, or BPF_LD|BPF_H|BPF_ABS 2: A = destination port.
        let port = SockFilter::new(if self.ipv4 { 0x48 } else { 0x28 }, 0, 0, 2);
        // BPF_JMP|BPF_JEQ|BPF_K: go on, or leave out one.
        let compare = SockFilter::new(0x15, 0, 1, u32::from(self.client));
        let all = SockFilter::new(0x06, 0, 0, u32::MAX);
        let none = SockFilter::new(0x06, 0, 0, 0);
        let head = self.ipv4.then_some(header_length);
        head.into_iter().chain([port, compare, all, none]).collect()
    }
}

fn open(link: &Link, domain: Domain, ports: Ports) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, Type::RAW, Some(Protocol::UDP))?;
    socket.attach_filter(&ports.filter())?;
    socket.bind_device(Some(link.name.as_bytes()))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_to_the_port_of_clients_is_taken() {
        let ports = Ports { client: 68, server: 67, ipv4: true };
        let mut packet = vec![0x46; 24];
        packet.extend([0, 67, 0, 68, 0, 10, 0, 0, b'h', b'i']);
        assert_eq!(ports.message(&packet), Some(&b"hi"[..]));
        assert_eq!(ports.message(&packet[..30]), None);
        packet[27] = 69;
        assert_eq!(ports.message(&packet), None);
        assert_eq!(ports.message(&[]), None);
        let ipv6 = Ports { client: 546, server: 547, ipv4: false };
        assert_eq!(ipv6.message(&[2, 35, 2, 34, 0, 8, 0, 0]), Some(&b""[..]));
    }
}
