#!/usr/bin/env python3
"""Asks a name in every provisioning domain (PvD) of this machine, connects to what each of them answers, and
takes the first connection that is there: section 4 of draft-ietf-mif-api-extension-00, with asyncio and
dbus-fast.

    ./connect-everywhere-asyncio.py NAME PORT

One GetManagedObjects, one TranslateName for each PvD, one ConnectToAddress for each address, none of which
waits for another: each PvD is a task of its own.
"""

import asyncio
import socket
import sys

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

SERVICE = "org.ietf.Mif1"
PVD = "org.ietf.Mif1.ProvisioningDomain"


class Refused(Exception):
    """An error reply; its text is the D-Bus name of the error."""


async def call(bus, path, interface, method, signature="", *arguments):
    """Calls a method and returns what it returns, and the file descriptors that came along."""
    reply = await bus.call(
        Message(
            destination=SERVICE,
            path=path,
            interface=interface,
            member=method,
            signature=signature,
            body=list(arguments),
        )
    )
    if reply.message_type == MessageType.ERROR:
        raise Refused(reply.error_name)
    return reply.body, reply.unix_fds


async def connect(bus, path, address, port):
    """Connects to an address in a PvD: a socket, or the reason why there is none."""
    try:
        # (h socket, a{sv} details): h is an index into the file descriptors.
        (index, _details), fds = await call(bus, path, PVD, "ConnectToAddress", "sqa{sv}", address, port, {})
        return socket.socket(fileno=fds[index])
    except Refused as error:
        return error


async def ask_and_connect(bus, path, pvd, name, port, winner):
    """Everything that happens in one PvD; returns what is to be said of it."""
    # A PvD of one family can only connect to addresses of that family.
    family = "any" if pvd["Family"].value == "dual" else pvd["Family"].value
    options = {"family": Variant("s", family)}
    try:
        (addresses, _details), _ = await call(bus, path, PVD, "TranslateName", "sa{sv}", name, options)
    except Refused as error:
        return [f"not translated: {error}"]

    async def attempt(address):
        connection = await connect(bus, path, address, port)
        if isinstance(connection, Refused):
            return f"{address} not connected: {connection}"
        if not winner.done():
            winner.set_result((connection, address, pvd["Id"].value))
        return f"{address} connected from {connection.getsockname()[0]}"

    return await asyncio.gather(*map(attempt, addresses))


async def main():
    """Returns the exit code."""
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        print(f"usage: {sys.argv[0]} NAME PORT", file=sys.stderr)
        return 2
    name, port = sys.argv[1], int(sys.argv[2])
    # Without negotiate_unix_fd no socket could be handed over.
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    manager = "org.freedesktop.DBus.ObjectManager"
    (objects,), _ = await call(bus, "/org/ietf/Mif1", manager, "GetManagedObjects")
    pvds = {path: interfaces[PVD] for path, interfaces in objects.items() if PVD in interfaces}
    # The first connection: (socket, address, Id).
    winner = asyncio.get_running_loop().create_future()
    tasks = [ask_and_connect(bus, path, pvd, name, port, winner) for path, pvd in pvds.items()]
    said = await asyncio.gather(*tasks)
    for pvd_id, lines in sorted(zip((pvd["Id"].value for pvd in pvds.values()), said)):
        print(pvd_id, *lines, sep="\n  ")
    if not winner.done():
        return 1
    # A connected socket and ours: asyncio.open_connection(sock=...) from here on.
    _connection, address, pvd_id = winner.result()
    print(f"best: {address} in {pvd_id}")
    return 0


sys.exit(asyncio.run(main()))
