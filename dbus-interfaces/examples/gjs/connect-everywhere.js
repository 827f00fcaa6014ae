#!/usr/bin/env -S gjs -m
// Asks a name in every provisioning domain (PvD) of this machine, connects to what each of them answers, and
// takes the first connection that is there: section 4 of draft-ietf-mif-api-extension-00, in GNOME JavaScript.
//
//   gjs -m connect-everywhere.js NAME PORT
//
// One GetManagedObjects, one TranslateName for each PvD, one ConnectToAddress for each address, none of which
// waits for another: all of them are promises.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const SERVICE = 'org.ietf.Mif1';
const PVD = 'org.ietf.Mif1.ProvisioningDomain';
const FOR_EVER = GLib.MAXINT32;

// A call whose promise resolves to the values of the reply and its file descriptors.
function call(path, iface, method, parameters = null) {
    return new Promise((resolve, reject) => {
        Gio.DBus.system.call_with_unix_fd_list(
            SERVICE, path, iface, method, parameters, null, Gio.DBusCallFlags.NONE, FOR_EVER, null, null,
            (bus, result) => {
                try {
                    const [reply, fds] = bus.call_with_unix_fd_list_finish(result);
                    resolve([reply.recursiveUnpack(), fds]);
                } catch (error) {
                    reject(error);
                }
            });
    });
}

// The name of a D-Bus error.
function nameOf(error) {
    return Gio.DBusError.get_remote_error(error) ?? error.message;
}

// The first connection.
let best = null;

async function connect(path, id, address, port) {
    try {
        // (h socket, a{sv} details): h is an index into the file descriptors.
        const parameters = new GLib.Variant('(sqa{sv})', [address, port, {}]);
        const [[index], fds] = await call(path, PVD, 'ConnectToAddress', parameters);
        const socket = Gio.Socket.new_from_fd(fds.get(index));
        best ??= {socket, address, id};
        return `${address} connected from ${socket.get_local_address().get_address().to_string()}`;
    } catch (error) {
        return `${address} not connected: ${nameOf(error)}`;
    }
}

// Everything that happens in one PvD; resolves to what is to be said of it.
async function askAndConnect(path, pvd, name, port) {
    // A PvD of one family can only connect to addresses of that family.
    const family = pvd.Family === 'dual' ? 'any' : pvd.Family;
    const options = {family: new GLib.Variant('s', family)};
    try {
        const [[addresses]] = await call(path, PVD, 'TranslateName', new GLib.Variant('(sa{sv})', [name, options]));
        return Promise.all(addresses.map(address => connect(path, pvd.Id, address, port)));
    } catch (error) {
        return [`not translated: ${nameOf(error)}`];
    }
}

// Resolves to the exit code.
async function main(name, port) {
    const [[objects]] = await call('/org/ietf/Mif1', 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects');
    const pvds = Object.entries(objects).filter(([, interfaces]) => PVD in interfaces);
    const blocks = await Promise.all(pvds.map(async ([path, {[PVD]: pvd}]) =>
        [pvd.Id, ...await askAndConnect(path, pvd, name, port)].join('\n  ')));
    for (const block of blocks.sort())
        print(block);
    if (!best)
        return 1;
    // best.socket is connected and ours: Gio.SocketConnection and TLS from here on.
    print(`best: ${best.address} in ${best.id}`);
    return 0;
}

const [name, port] = ARGV;
if (ARGV.length !== 2 || !(Number(port) > 0)) {
    printerr('usage: connect-everywhere.js NAME PORT');
    System.exit(2);
}
const loop = new GLib.MainLoop(null, false);
let code = 1;
main(name, Number(port))
    .then(result => (code = result))
    .catch(error => printerr(nameOf(error)))
    .finally(() => loop.quit());
loop.run();
System.exit(code);
