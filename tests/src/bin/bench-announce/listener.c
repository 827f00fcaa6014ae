/*
 * The client of `cargo xtask bench announce`: it hears what a service tells it over the bus, with sd-bus, and in the
 * same loop what the kernel tells everybody: netlink, Router Advertisements, DHCP and a folder's files.
 *
 *   listener mifd FOLDER             a subscriber of mifd, of everything
 *   listener signals NAME FOLDER     whatever the service NAME broadcasts
 *
 * Each line is a time (CLOCK_MONOTONIC, nanoseconds) and what was heard then. Lines are kept until something came over
 * the bus: whoever reads them must not wake up while a service is at work. A line "hop" on standard input has it send
 * a signal to itself, by the bus.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.ietf.Mif1"
#define SUBSCRIBER "org.ietf.Mif1.Subscriber"
#define HOP "org.ietf.MifBench"

enum { BUS, NETLINK, ROUTERS, PACKETS, FILES, INPUT, SOURCES };

static char subscriber[256];

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(result == -1 ? errno : -result));
        exit(1);
    }
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void heard(const char *what, const char *detail) {
    printf("%lld %s%s%s\n", (long long)now(), what, *detail ? " " : "", detail);
}

/* ---- the bus ---- */

static void ask(sd_bus *bus, const char *method, const char *object) {
    if (object)
        check(sd_bus_call_method_async(bus, NULL, SERVICE, subscriber, SUBSCRIBER, method, NULL, NULL, "o", object),
              method);
    else
        check(sd_bus_call_method_async(bus, NULL, SERVICE, subscriber, SUBSCRIBER, method, NULL, NULL, ""), method);
}

/* What mifd announces has announcements of its own, which are asked for. */
static const char *follow(sd_bus *bus, sd_bus_message *message, const char *member) {
    const char *first, *second;
    if (strcmp(member, "InterfaceAnnouncement") == 0) {
        check(sd_bus_message_read(message, "o", &first), member);
        ask(bus, "AnnounceProvisioningDomains", first);
    } else if (strcmp(member, "ProvisioningDomainAnnouncement") == 0) {
        check(sd_bus_message_read(message, "oo", &first, &second), member);
        ask(bus, "AnnounceAddresses", second);
        ask(bus, "AnnounceConfigurationElements", second);
    } else if (strcmp(member, "ConfigurationElementAnnouncement") == 0) {
        check(sd_bus_message_read(message, "os", &first, &second), member);
        return second;
    }
    return "";
}

/* What a broadcast is about: the interface whose properties changed. */
static const char *of_whom(sd_bus_message *message, const char *member) {
    const char *interface = "";
    if (strcmp(member, "PropertiesChanged") == 0)
        check(sd_bus_message_read(message, "s", &interface), member);
    return interface;
}

static int on_message(sd_bus_message *message, void *data, sd_bus_error *error) {
    const char *member = sd_bus_message_get_member(message), *sender = sd_bus_message_get_sender(message);
    uint8_t type;
    (void)error;
    check(sd_bus_message_get_type(message, &type), "type");
    if (type != SD_BUS_MESSAGE_SIGNAL || !member || !sender || strcmp(sender, "org.freedesktop.DBus") == 0)
        return 0;
    int64_t at = now();
    const char *detail = *subscriber ? follow(data, message, member) : of_whom(message, member);
    printf("%lld signal %s %s\n", (long long)at, member, detail);
    fflush(stdout);
    return 0;
}

static void subscribe(sd_bus *bus) {
    sd_bus_message *reply = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    const char *path;
    int result = sd_bus_call_method(bus, SERVICE, "/org/ietf/Mif1", "org.ietf.Mif1.Manager", "CreateSubscriber", &error,
                                    &reply, "sa{sv}", "listener", 0);
    check(result, error.message ? error.message : "CreateSubscriber");
    check(sd_bus_message_read(reply, "o", &path), "its path");
    snprintf(subscriber, sizeof subscriber, "%s", path);
    sd_bus_message_unref(reply);
    ask(bus, "AnnounceInterfaces", NULL);
}

static void hop(sd_bus *bus) {
    sd_bus_message *message = NULL;
    const char *name;
    check(sd_bus_get_unique_name(bus, &name), "name");
    heard("asked", "");
    check(sd_bus_message_new_signal(bus, &message, "/org/ietf/MifBench", HOP, "Hop"), "signal");
    check(sd_bus_message_set_destination(message, name), "destination");
    check(sd_bus_message_append(message, "ossytt", "/org/ietf/Mif1/pvd/1", "198.51.100.1", "text of a signal", 24,
                                UINT64_MAX, UINT64_MAX),
          "arguments");
    check(sd_bus_send(bus, message, NULL), "send");
    sd_bus_message_unref(message);
}

/* ---- the kernel ---- */

static int open_netlink(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    check(fd, "netlink");
    check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    return fd;
}

static int open_routers(void) {
    struct icmp6_filter filter;
    int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    check(fd, "raw socket");
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
    check(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter), "filter");
    return fd;
}

static int open_files(const char *folder) {
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    check(fd, "inotify");
    check(inotify_add_watch(fd, folder, IN_MODIFY | IN_MOVED_TO), folder);
    return fd;
}

static void read_netlink(int fd) {
    char buffer[16384] __attribute__((aligned(8)));
    int length;
    while ((length = recv(fd, buffer, sizeof buffer, 0)) > 0)
        for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, (unsigned)length);
             header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type == RTM_NEWLINK)
                heard("link", "");
            else if (header->nlmsg_type == RTM_NEWADDR)
                heard("address", "");
            else if (header->nlmsg_type == RTM_DELADDR)
                heard("no-address", "");
        }
}

/* A DHCPACK to this host: IPv4, UDP from port 67, option 53 is 5. */
static int is_acknowledgement(const uint8_t *packet, size_t length) {
    size_t header = (packet[0] & 15) * 4u, at = header + 8 + 240;
    if (length < at || packet[9] != IPPROTO_UDP || packet[header] != 0 || packet[header + 1] != 67)
        return 0;
    while (at + 2 < length && packet[at] != 255) {
        if (packet[at] == 53)
            return packet[at + 2] == 5;
        at += packet[at] == 0 ? 1 : 2u + packet[at + 1];
    }
    return 0;
}

static void read_others(int fd, int source) {
    uint8_t buffer[4096] __attribute__((aligned(8)));
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0)
        if (source == ROUTERS)
            heard("advertisement", "");
        else if (source == FILES)
            heard("file", "");
        else if (length > 20 && is_acknowledgement(buffer, (size_t)length))
            heard("acknowledgement", "");
}

static void read_input(sd_bus *bus) {
    char line[64];
    ssize_t length = read(STDIN_FILENO, line, sizeof line);
    if (length <= 0)
        exit(0);
    if (memchr(line, 'h', (size_t)length))
        hop(bus);
}

int main(int count, char **arguments) {
    sd_bus *bus = NULL;
    int of_mifd = count == 3 && strcmp(arguments[1], "mifd") == 0;
    if (!of_mifd && !(count == 4 && strcmp(arguments[1], "signals") == 0)) {
        fputs("the usage is at the top of the source\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    check(sd_bus_open_system(&bus), "bus");
    check(sd_bus_add_filter(bus, NULL, on_message, bus), "filter");
    int packets = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP));
    check(packets, "packet socket");
    struct pollfd sources[SOURCES] = {
        [BUS] = {.fd = sd_bus_get_fd(bus)},      [NETLINK] = {.fd = open_netlink()},
        [ROUTERS] = {.fd = open_routers()},      [PACKETS] = {.fd = packets},
        [FILES] = {.fd = open_files(arguments[count - 1])}, [INPUT] = {.fd = STDIN_FILENO},
    };
    if (of_mifd)
        subscribe(bus);
    else
        check(sd_bus_match_signal(bus, NULL, arguments[2], NULL, NULL, NULL, NULL, NULL), "match");
    heard("ready", "");
    fflush(stdout);
    for (;;) {
        int result;
        /* What the kernel has said by now comes first, as it does everywhere. */
        do {
            read_netlink(sources[NETLINK].fd);
            for (int i = ROUTERS; i <= FILES; i++)
                read_others(sources[i].fd, i);
            result = sd_bus_process(bus, NULL);
        } while (result > 0);
        check(result, "process");
        for (int i = 0; i < SOURCES; i++)
            sources[i].events = POLLIN;
        sources[BUS].events = (short)sd_bus_get_events(bus);
        if (poll(sources, SOURCES, -1) < 0 && errno != EINTR)
            check(-1, "poll");
        if (sources[INPUT].revents)
            read_input(bus);
    }
}
