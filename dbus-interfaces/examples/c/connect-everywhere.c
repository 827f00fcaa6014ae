// Asks a name in every provisioning domain (PvD) of this machine, connects to what each of them answers, and
// takes the first connection that is there: section 4 of draft-ietf-mif-api-extension-00, with sd-bus.
//
//   cc connect-everywhere.c -o connect-everywhere -lsystemd && ./connect-everywhere NAME PORT
//
// One GetManagedObjects, one TranslateName for each PvD, one ConnectToAddress for each address; all posted
// without waiting for each other (sd_bus_call_method_async). Each reply comes to its own function.

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#define SERVICE "org.ietf.Mif1"
#define PVD "org.ietf.Mif1.ProvisioningDomain"

struct pvd { char path[128], id[300], family[8], lines[8192]; };  // what is said of it is printed at the end
struct attempt { struct pvd *pvd; char address[64]; };

static struct pvd pvds[64];
static int count, pending, port, best_socket = -1;  // PvDs; replies still to come; the first connection
static char best[400];

static void check(int result, const char *what) {
    if (result < 0) fprintf(stderr, "%s: %s\n", what, strerror(-result)), exit(1);
}

static int note(struct pvd *pvd, const char *what, const char *how, const char *detail) {
    size_t used = strlen(pvd->lines);
    snprintf(pvd->lines + used, sizeof pvd->lines - used, "  %s%s%s\n", what, how, detail);
    return 0;
}

// The reply of ConnectToAddress: (h socket, a{sv} details). The message owns the socket: we keep a copy.
static int connected(sd_bus_message *reply, void *data, sd_bus_error *unused) {
    struct attempt *attempt = data;
    struct sockaddr_storage local;
    socklen_t size = sizeof local;
    char from[64] = "";
    int socket = (pending--, -1);
    if (sd_bus_message_get_error(reply))
        return note(attempt->pvd, attempt->address, " not connected: ", sd_bus_message_get_error(reply)->name);
    check(sd_bus_message_read(reply, "h", &socket), "the socket");
    getsockname(socket, (struct sockaddr *) &local, &size);
    getnameinfo((struct sockaddr *) &local, size, from, sizeof from, NULL, 0, NI_NUMERICHOST);
    note(attempt->pvd, attempt->address, " connected from ", from);
    if (best_socket < 0) {
        best_socket = dup(socket);
        snprintf(best, sizeof best, "best: %s in %s\n", attempt->address, attempt->pvd->id);
    }
    return 0;
}

// The reply of TranslateName: (as addresses, a{sv} details).
static int translated(sd_bus_message *reply, void *data, sd_bus_error *unused) {
    struct attempt attempt = { .pvd = data }, *copy;
    const char *address = (pending--, NULL);
    if (sd_bus_message_get_error(reply))
        return note(attempt.pvd, "", "not translated: ", sd_bus_message_get_error(reply)->name);
    check(sd_bus_message_enter_container(reply, 'a', "s"), "the addresses");
    for (; sd_bus_message_read(reply, "s", &address) > 0; pending++) {
        snprintf(attempt.address, sizeof attempt.address, "%s", address);
        copy = memcpy(malloc(sizeof attempt), &attempt, sizeof attempt);
        check(sd_bus_call_method_async(sd_bus_message_get_bus(reply), NULL, SERVICE, attempt.pvd->path, PVD,
                                       "ConnectToAddress", connected, copy, "sqa{sv}", address, port, 0), "post");
    }
    return 0;
}

// The reply of GetManagedObjects, a{oa{sa{sv}}}: path, interface, property, value. Keeps the PvDs.
static void read_objects(sd_bus_message *m) {
    const char *path, *interface, *key, *value;
    check(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}"), "the objects");
    for (; sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0; sd_bus_message_exit_container(m)) {
        check(sd_bus_message_read(m, "o", &path), "a path");
        check(sd_bus_message_enter_container(m, 'a', "{sa{sv}}"), path);
        for (; sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0; sd_bus_message_exit_container(m)) {
            struct pvd pvd = { .family = "any" };
            snprintf(pvd.path, sizeof pvd.path, "%s", path);
            check(sd_bus_message_read(m, "s", &interface), "an interface");
            check(sd_bus_message_enter_container(m, 'a', "{sv}"), interface);
            for (; sd_bus_message_enter_container(m, 'e', "sv") > 0; sd_bus_message_exit_container(m)) {
                check(sd_bus_message_read(m, "s", &key), "a property");
                int text = !strcmp(interface, PVD) && (!strcmp(key, "Id") || !strcmp(key, "Family"));
                check(text ? sd_bus_message_read(m, "v", "s", &value) : sd_bus_message_skip(m, "v"), key);
                if (text && *key == 'I') snprintf(pvd.id, sizeof pvd.id, "%s", value);
                else if (text && strcmp(value, "dual")) snprintf(pvd.family, sizeof pvd.family, "%s", value);
            }
            sd_bus_message_exit_container(m);
            if (*pvd.id && count < 64) pvds[count++] = pvd;
        }
        sd_bus_message_exit_container(m);
    }
}

static int by_id(const void *a, const void *b) { return strcmp(((struct pvd *) a)->id, ((struct pvd *) b)->id); }

int main(int argc, char **argv) {
    sd_bus *bus;
    sd_bus_message *objects;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (argc != 3 || !(port = atoi(argv[2]))) return fprintf(stderr, "usage: %s NAME PORT\n", argv[0]), 2;
    check(sd_bus_open_system(&bus), "the system bus");
    check(sd_bus_call_method(bus, SERVICE, "/org/ietf/Mif1", "org.freedesktop.DBus.ObjectManager",
                             "GetManagedObjects", &error, &objects, ""), SERVICE);
    read_objects(objects);
    qsort(pvds, count, sizeof *pvds, by_id);
    for (int i = 0; i < count; i++, pending++)
        check(sd_bus_call_method_async(bus, NULL, SERVICE, pvds[i].path, PVD, "TranslateName", translated, &pvds[i],
                                       "sa{sv}", argv[1], 1, "family", "s", pvds[i].family), "post");
    while (pending)
        if (sd_bus_process(bus, NULL) == 0) check(sd_bus_wait(bus, UINT64_MAX), "the bus");
    for (int i = 0; i < count; i++) printf("%s\n%s", pvds[i].id, pvds[i].lines);
    // best_socket is connected and ours: read(2), write(2), TLS ... from here on.
    printf("%s", best);
    return best_socket < 0;
}
