//! Kernels that lack what most have. There is only the one that runs here, so a library that is loaded into mifd makes
//! its requests such that this kernel gives the very answer of the other one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::process::Command;

use mif::{ConnectRequest, connect_to_address};
use mif_tests::cable::Cable;
use mif_tests::daemons::program;
use mif_tests::echo::{ECHO_PORT, EchoServer};
use mif_tests::process::output;
use mif_tests::served_host::ServedHost;
use mif_tests::tool;
use mif_tests::universe::{self, Universe};
use mif_tests::wait::completes;

/// What the kernel does not know it answers as it would answer everything of a part that was not built.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int lacks(const char *part) { const char *all = getenv("LACKS"); return all && strcmp(all, part) == 0; }

static void spoil(int fd, void *data, size_t length) {
    int domain = 0; socklen_t size = sizeof domain;
    struct nlmsghdr *header = data; unsigned char *family = (unsigned char *)data + NLMSG_HDRLEN;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_NETLINK) return;
    if (length <= NLMSG_HDRLEN) return;
    /* EOPNOTSUPP, as without CONFIG_IP_MULTIPLE_TABLES */
    if (lacks("rules") && header->nlmsg_type >= RTM_NEWRULE && header->nlmsg_type <= RTM_GETRULE)
        header->nlmsg_type = 0x1ff;
    /* EAFNOSUPPORT, or the dump of all families, as without CONFIG_IPV6 */
    if (lacks("ipv6") && *family == AF_INET6) *family = 99;
}

ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    char copy[65536];
    if (length > sizeof copy) { errno = EMSGSIZE; return -1; }
    memcpy(copy, data, length);
    spoil(fd, copy, length);
    return real(fd, copy, length, flags, to, size);
}

ssize_t send(int fd, const void *data, size_t length, int flags) { return sendto(fd, data, length, flags, 0, 0); }

int socket(int domain, int type, int protocol) {
    int (*real)(int, int, int) = dlsym(RTLD_NEXT, "socket");
    if (lacks("ipv6") && domain == AF_INET6) { errno = EAFNOSUPPORT; return -1; }
    return real(domain, type, protocol);
}
"#;

/// The host of a kernel that lacks a part, with an echo server behind `eth1`.
async fn host_lacking(part: &str, universe: &Universe) -> (ServedHost, EchoServer) {
    let server = universe.node("server");
    let cable = Cable::between(universe.host().end("eth1"), server.end("lan")).await;
    cable.near().add_address("192.0.2.2/24");
    cable.far().add_address("192.0.2.1/24");
    if part == "ipv6" {
        universe.host().set("net/ipv6/conf/all/disable_ipv6", "1");
    }
    fs::write("/tmp/lacking.c", LIBRARY).unwrap();
    let mut compiler = tool::command("gcc");
    compiler.args([
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        "/tmp/lacking.so",
        "/tmp/lacking.c",
        "-ldl",
    ]);
    let compiled = output(compiler).await;
    assert_eq!(compiled.code, 0, "{compiled:?}");
    let settings = |settings: mif_tests::daemons::MifdSettings| {
        settings.environment("LD_PRELOAD", "/tmp/lacking.so").environment("LACKS", part)
    };
    (ServedHost::start_with(universe, settings).await, EchoServer::on(&server))
}

/// A connection over IPv4 is made, and `mifctl status` shows `words`.
async fn does_the_rest(host: &ServedHost, words: &str) {
    let pvd = host.pvd("implicit:eth1:ipv4").await;
    let request = ConnectRequest::new([192, 0, 2, 1].into(), ECHO_PORT);
    completes("a connection", connect_to_address(&host.connection, &pvd.path, &request)).await.unwrap();
    let mut mifctl = Command::new(program("mifctl"));
    mifctl.arg("status");
    let status = output(mifctl).await;
    assert!(status.code == 0 && status.stdout.contains(words), "{status:?}");
}

#[test]
fn without_policy_routing_connections_go_by_the_one_table() {
    universe::run(async |universe| {
        let (host, _echo) = host_lacking("rules", &universe).await;
        let features = host.features().await;
        assert!(!features.contains(&"pvd-routing".to_owned()), "{features:?}");
        assert!(features.contains(&"router-advertisements".to_owned()), "{features:?}");
        let log = host.mifd.process().log();
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("no routing per provisioning domain")).collect();
        assert!(
            matches!(lines[..], [line] if line.contains("WARN") && line.contains("policy routing")),
            "{log}"
        );
        does_the_rest(&host, "The service leads no packets").await;
        assert!(!universe.host().ip("rule show").contains("fwmark"));
    });
}

#[test]
fn without_ipv6_there_is_ipv4() {
    universe::run(async |universe| {
        let (host, _echo) = host_lacking("ipv6", &universe).await;
        let features = host.features().await;
        assert!(!features.contains(&"router-advertisements".to_owned()), "{features:?}");
        assert!(features.contains(&"pvd-routing".to_owned()), "{features:?}");
        let log = host.mifd.process().log();
        assert!(log.contains("this kernel has no IPv6: there is nothing but IPv4"), "{log}");
        assert!(log.contains("this kernel has no IPv6 routing rules"), "{log}");
        does_the_rest(&host, "The service hears no routers: the kernel is without IPv6.").await;
        assert!(universe.host().ip("rule show").contains("fwmark"));
    });
}
