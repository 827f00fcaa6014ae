/*
 * The yardstick of `cargo xtask bench connect`: a service that does with sd-bus what has to be done and nothing else,
 * and the client that measures it and mifd alike.
 *
 *   reference serve NAME PATH LINK SOURCE              the service: PATH connects, PATH/inside also stays in the network
 *   reference connect NAME PATH ADDRESS PORT COUNT     ConnectToAddress, one after the other
 *   reference bind NAME PATH ADDRESS PORT COUNT        BindSocket, one after the other
 *   reference refused NAME PATH ADDRESS PORT COUNT     BindSocket with an option that nobody knows
 *   reference flight NAME PATH ADDRESS PORT COUNT      ConnectToAddress, 32 under way
 *   reference plain - - ADDRESS PORT COUNT             connect(2), one after the other
 *
 * The client prints the median and the 99th percentile of the microseconds that a call took, or with `flight` the
 * calls in a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#define INTERFACE "org.ietf.Mif1.ProvisioningDomain"
#define OUTSTANDING 32

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(result == -1 ? errno : -result));
        exit(1);
    }
}

static struct sockaddr_in address_of(const char *text, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        fprintf(stderr, "%s is no IPv4 address\n", text);
        exit(2);
    }
    return address;
}

/* ---- the service ---- */

/* What a socket is to stay in: what the contract wants of any service, without finding out what to use. */
struct place {
    int link;
    struct sockaddr_in source;
};

struct attempt {
    sd_bus_message *call;
    const struct place *place;
    sd_event_source *source;
    double begin;
    int fd;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void keep_inside(int fd, const struct place *place) {
    int mark = 1, on = 1;
    check(setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &place->link, sizeof place->link), "link");
    check(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), "mark");
    check(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "port");
    check(bind(fd, (struct sockaddr *)&place->source, sizeof place->source), "bind");
}

static int append_result(sd_bus_message *reply, const struct attempt *attempt) {
    struct sockaddr_in local;
    socklen_t length = sizeof local;
    char text[INET_ADDRSTRLEN];
    if (attempt->place == NULL)
        return sd_bus_message_append(reply, "ha{sv}", attempt->fd, 0);
    check(getsockname(attempt->fd, (struct sockaddr *)&local, &length), "getsockname");
    inet_ntop(AF_INET, &local.sin_addr, text, sizeof text);
    return sd_bus_message_append(reply, "ha{sv}", attempt->fd, 3, "local-address", "s", text, "local-port", "q",
                                 ntohs(local.sin_port), "handshake-us", "t", (uint64_t)(now() - attempt->begin));
}

static int hand_over(struct attempt *attempt) {
    sd_bus_message *reply = NULL;
    int result = fcntl(attempt->fd, F_SETFL, 0);
    if (result >= 0)
        result = sd_bus_message_new_method_return(attempt->call, &reply);
    if (result >= 0)
        result = append_result(reply, attempt);
    if (result >= 0)
        result = sd_bus_send(NULL, reply, NULL);
    sd_bus_message_unref(reply);
    sd_event_source_unref(attempt->source);
    sd_bus_message_unref(attempt->call);
    close(attempt->fd);
    free(attempt);
    return result;
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *data) {
    int error = 0;
    socklen_t length = sizeof error;
    (void)source, (void)events;
    check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), "getsockopt");
    check(-error, "connect");
    return hand_over(data);
}

static int connect_to_address(sd_bus_message *call, void *data, sd_bus_error *error) {
    const char *text;
    uint16_t port;
    (void)error;
    int result = sd_bus_message_read(call, "sq", &text, &port);
    if (result < 0)
        return result;
    struct sockaddr_in address = address_of(text, port);
    struct attempt *attempt = calloc(1, sizeof *attempt);
    attempt->call = sd_bus_message_ref(call);
    attempt->place = data;
    attempt->begin = now();
    attempt->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(attempt->fd, "socket");
    if (attempt->place != NULL)
        keep_inside(attempt->fd, attempt->place);
    if (connect(attempt->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return hand_over(attempt);
    if (errno != EINPROGRESS)
        check(-1, "connect");
    sd_event *event = sd_bus_get_event(sd_bus_message_get_bus(call));
    check(sd_event_add_io(event, &attempt->source, attempt->fd, EPOLLOUT, on_connected, attempt), "event");
    return 1;
}

static int bind_socket(sd_bus_message *call, void *data, sd_bus_error *error) {
    int fd;
    (void)data, (void)error;
    int result = sd_bus_message_read(call, "h", &fd);
    return result < 0 ? result : sd_bus_reply_method_return(call, "a{sv}", 0);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("ConnectToAddress", "sqa{sv}", "ha{sv}", connect_to_address, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("BindSocket", "ha{sv}", "a{sv}", bind_socket, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static void serve(const char *name, const char *path, struct place *place) {
    char inside[256];
    sd_event *event;
    sd_bus *bus;
    snprintf(inside, sizeof inside, "%s/inside", path);
    check(sd_event_default(&event), "event loop");
    check(sd_bus_open_system(&bus), "bus");
    check(sd_bus_attach_event(bus, event, 0), "attach");
    check(sd_bus_add_object_vtable(bus, NULL, path, INTERFACE, vtable, NULL), "object");
    check(sd_bus_add_object_vtable(bus, NULL, inside, INTERFACE, vtable, place), "object");
    check(sd_bus_request_name(bus, name, 0), "name");
    puts("serving");
    fflush(stdout);
    check(sd_event_loop(event), "loop");
}

/* ---- the client ---- */

struct target {
    const char *name, *path, *address;
    uint16_t port;
};

/* Without a trace in TIME_WAIT, of which there is room for one a port. */
static void forget(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void call_connect(sd_bus *bus, const struct target *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int fd;
    int result = sd_bus_call_method(bus, target->name, target->path, INTERFACE, "ConnectToAddress", &error, &reply,
                                    "sqa{sv}", target->address, target->port, 0);
    if (result < 0)
        fprintf(stderr, "%s: %s\n", error.name, error.message);
    check(result, "ConnectToAddress");
    check(sd_bus_message_read(reply, "h", &fd), "reply");
    forget(fd);
    sd_bus_message_unref(reply);
}

/* With an option that is refused, the service takes the socket and does nothing with it. */
static int bind_with(sd_bus *bus, const struct target *target, const char *option, sd_bus_error *error) {
    sd_bus_message *call = NULL, *reply = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd, "socket");
    check(sd_bus_message_new_method_call(bus, &call, target->name, target->path, INTERFACE, "BindSocket"), "call");
    check(option ? sd_bus_message_append(call, "ha{sv}", fd, 1, option, "u", 0)
                 : sd_bus_message_append(call, "ha{sv}", fd, 0),
          "append");
    int result = sd_bus_call(bus, call, 0, error, &reply);
    sd_bus_message_unref(call);
    sd_bus_message_unref(reply);
    close(fd);
    return result;
}

static void call_bind(sd_bus *bus, const struct target *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int result = bind_with(bus, target, NULL, &error);
    if (result < 0)
        fprintf(stderr, "%s: %s\n", error.name, error.message);
    check(result, "BindSocket");
}

static void call_refused(sd_bus *bus, const struct target *target) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (bind_with(bus, target, "nobody-knows-this", &error) >= 0) {
        fprintf(stderr, "BindSocket took an option that there is not\n");
        exit(1);
    }
    sd_bus_error_free(&error);
}

static void call_plain(sd_bus *bus, const struct target *target) {
    struct sockaddr_in address = address_of(target->address, target->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)bus;
    check(fd, "socket");
    check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    forget(fd);
    close(fd);
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void one_after_the_other(sd_bus *bus, const struct target *target, int count,
                                void (*call)(sd_bus *, const struct target *)) {
    double *times = calloc(count, sizeof *times);
    for (int i = -count / 20; i < count; i++) {
        double begin = now();
        call(bus, target);
        if (i >= 0)
            times[i] = now() - begin;
    }
    qsort(times, count, sizeof *times, ascending);
    printf("%.1f %.1f\n", times[count / 2], times[count * 99 / 100]);
    free(times);
}

struct flight {
    sd_bus *bus;
    const struct target *target;
    int to_begin, to_end;
};

static void begin_one(struct flight *flight);

static int on_reply(sd_bus_message *reply, void *data, sd_bus_error *error) {
    struct flight *flight = data;
    int fd;
    (void)error;
    if (sd_bus_message_is_method_error(reply, NULL)) {
        fprintf(stderr, "%s\n", sd_bus_message_get_error(reply)->message);
        exit(1);
    }
    check(sd_bus_message_read(reply, "h", &fd), "reply");
    forget(fd);
    flight->to_end--;
    if (flight->to_begin > 0)
        begin_one(flight);
    return 1;
}

static void begin_one(struct flight *flight) {
    const struct target *target = flight->target;
    flight->to_begin--;
    check(sd_bus_call_method_async(flight->bus, NULL, target->name, target->path, INTERFACE, "ConnectToAddress",
                                   on_reply, flight, "sqa{sv}", target->address, target->port, 0),
          "call");
}

static void many_under_way(sd_bus *bus, const struct target *target, int count) {
    struct flight flight = {.bus = bus, .target = target, .to_begin = count, .to_end = count};
    double begin = now();
    for (int i = 0; i < OUTSTANDING && flight.to_begin > 0; i++)
        begin_one(&flight);
    while (flight.to_end > 0) {
        int result = sd_bus_process(bus, NULL);
        check(result, "process");
        if (result == 0)
            check(sd_bus_wait(bus, UINT64_MAX), "wait");
    }
    printf("%.0f\n", count / ((now() - begin) / 1e6));
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[1], "serve") == 0) {
        struct place place = {.link = if_nametoindex(argv[4]), .source = address_of(argv[5], 0)};
        serve(argv[2], argv[3], &place);
        return 0;
    }
    if (argc != 7) {
        fprintf(stderr, "the usage is at the top of the source\n");
        return 2;
    }
    struct target target = {argv[2], argv[3], argv[4], (uint16_t)atoi(argv[5])};
    int count = atoi(argv[6]);
    sd_bus *bus = NULL;
    if (strcmp(argv[1], "plain") != 0)
        check(sd_bus_open_system(&bus), "bus");
    if (strcmp(argv[1], "connect") == 0)
        one_after_the_other(bus, &target, count, call_connect);
    else if (strcmp(argv[1], "bind") == 0)
        one_after_the_other(bus, &target, count, call_bind);
    else if (strcmp(argv[1], "refused") == 0)
        one_after_the_other(bus, &target, count, call_refused);
    else if (strcmp(argv[1], "plain") == 0)
        one_after_the_other(bus, &target, count, call_plain);
    else
        many_under_way(bus, &target, count);
    return 0;
}
