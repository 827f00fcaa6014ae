#!/usr/bin/env python3
"""Asks a name in every provisioning domain (PvD) of this machine, connects to what each of them answers, and
takes the first connection that is there: section 4 of draft-ietf-mif-api-extension-00, with GDBus (PyGObject).

    ./connect-everywhere-gdbus.py NAME PORT

One GetManagedObjects, one TranslateName for each PvD, one ConnectToAddress for each address. The calls are
posted without waiting for each other; each reply comes to a function of its own, run by the main loop.
"""

import socket
import sys

from gi.repository import Gio, GLib

SERVICE = "org.ietf.Mif1"
PVD = "org.ietf.Mif1.ProvisioningDomain"


class Race:
    """Connects to one name everywhere."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
        self.loop = GLib.MainLoop()
        self.pending = 0  # replies that are still to come
        self.lines = {}  # what is said of each PvD, by its Id
        self.best = None  # (socket, address, Id) of the first connection

    def run(self):
        """Posts the translations, and returns when every reply is there."""
        objects = self.bus.call_sync(
            SERVICE, "/org/ietf/Mif1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
            None, GLib.VariantType("(a{oa{sa{sv}}})"), Gio.DBusCallFlags.NONE, -1,
        ).unpack()[0]
        pvds = {path: interfaces[PVD] for path, interfaces in objects.items() if PVD in interfaces}
        for path, pvd in pvds.items():
            self.lines[pvd["Id"]] = []
            # A PvD of one family can only connect to addresses of that family.
            family = "any" if pvd["Family"] == "dual" else pvd["Family"]
            arguments = GLib.Variant("(sa{sv})", (self.name, {"family": GLib.Variant("s", family)}))
            self.post(path, "TranslateName", arguments, self.translated, (path, pvd["Id"]))
        if self.pending:
            self.loop.run()

    def post(self, path, method, arguments, replied, data):
        """Sends a call; `replied` is called with its result (and its sockets), or an error."""
        self.pending += 1
        self.bus.call_with_unix_fd_list(
            SERVICE, path, PVD, method, arguments, None, Gio.DBusCallFlags.NONE, GLib.MAXINT, None, None,
            self.finished, (replied, data),
        )

    def finished(self, bus, result, replied_and_data):
        """A reply has come."""
        replied, data = replied_and_data
        try:
            values, fds = bus.call_with_unix_fd_list_finish(result)
            replied(values.unpack(), fds, None, data)
        except GLib.Error as error:
            replied(None, None, Gio.DBusError.get_remote_error(error), data)
        self.pending -= 1
        if not self.pending:
            self.loop.quit()

    def translated(self, values, _fds, error, data):
        """The reply of TranslateName: (as addresses, a{sv} details)."""
        path, pvd_id = data
        if error:
            self.lines[pvd_id].append(f"not translated: {error}")
            return
        for address in values[0]:
            arguments = GLib.Variant("(sqa{sv})", (address, self.port, {}))
            self.post(path, "ConnectToAddress", arguments, self.connected, (address, pvd_id))

    def connected(self, values, fds, error, data):
        """The reply of ConnectToAddress: (h socket, a{sv} details); h is an index into the sockets."""
        address, pvd_id = data
        if error:
            self.lines[pvd_id].append(f"{address} not connected: {error}")
            return
        connection = socket.socket(fileno=fds.get(values[0]))
        self.lines[pvd_id].append(f"{address} connected from {connection.getsockname()[0]}")
        self.best = self.best or (connection, address, pvd_id)


def main():
    """Returns the exit code."""
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        print(f"usage: {sys.argv[0]} NAME PORT", file=sys.stderr)
        return 2
    race = Race(sys.argv[1], int(sys.argv[2]))
    race.run()
    for pvd_id in sorted(race.lines):
        print(pvd_id, *race.lines[pvd_id], sep="\n  ")
    if not race.best:
        return 1
    # The first of the three is a connected socket and ours: recv, send, ssl.wrap_socket ... from here on.
    _connection, address, pvd_id = race.best
    print(f"best: {address} in {pvd_id}")
    return 0


sys.exit(main())
