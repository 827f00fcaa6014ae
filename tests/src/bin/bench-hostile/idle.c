/* A service that does nothing: it answers every call with nothing, and a property with a constant. What its callers
 * suffer beside a hostile client is the bus's doing, and that of the machine.
 *
 *     idle NAME */

#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

static int append_address(sd_bus_message *reply) {
    int r;

    if ((r = sd_bus_message_open_container(reply, 'v', "aa{sv}")) < 0)
        return r;
    r = sd_bus_message_append(reply, "aa{sv}", 1, 5, "address", "s", "192.0.2.2", "prefix-length", "y", 24,
                              "state", "s", "preferred", "element", "s", "static", "temporary", "b", 0);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer(sd_bus *bus, sd_bus_message *call) {
    sd_bus_message *reply = NULL;
    int r;

    if (!sd_bus_message_get_expect_reply(call))
        return 0;
    if ((r = sd_bus_message_new_method_return(call, &reply)) < 0)
        return r;
    if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get") > 0)
        r = append_address(reply);
    if (r >= 0)
        r = sd_bus_send(bus, reply, NULL);
    sd_bus_message_unref(reply);
    return r;
}

int main(int count, char **arguments) {
    sd_bus *bus = NULL;

    if (count != 2 || sd_bus_open_system(&bus) < 0 || sd_bus_request_name(bus, arguments[1], 0) < 0) {
        fputs("usage: idle NAME, on a bus that lets it have that name\n", stderr);
        return 1;
    }
    puts("serving");
    fflush(stdout);
    for (;;) {
        sd_bus_message *message = NULL;
        int done = sd_bus_process(bus, &message);

        if (message && sd_bus_message_is_method_call(message, NULL, NULL) > 0 && answer(bus, message) < 0)
            done = -1;
        sd_bus_message_unref(message);
        if (done < 0 || (done == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
            return 1;
    }
}
