#!/bin/bash
# Asks a name in every provisioning domain (PvD) of this machine and connects to what each of them answers:
# section 4 of draft-ietf-mif-api-extension-00, with busctl and jq.
#
#   ./connect-everywhere.sh NAME PORT
#
# One GetManagedObjects, one TranslateName for each PvD, one ConnectToAddress for each address; those of
# different PvDs go on at the same time, as jobs of the shell.
#
# A shell cannot take the socket out of a D-Bus reply: it closes with busctl. This shows which way leads there,
# and how fast; `mifctl connect NAME PORT -- COMMAND` gives a command the socket.

set -uo pipefail

if [[ $# -ne 2 || ! $2 =~ ^[0-9]+$ ]]; then
    echo "usage: $0 NAME PORT" >&2
    exit 2
fi
name=$1 port=$2
pvd_interface=org.ietf.Mif1.ProvisioningDomain
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# call PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]: the values of the reply as a JSON array. Errors go to
# standard error, in busctl's words: "Call failed: ...".
call() {
    busctl --system --json=short --timeout=150 call org.ietf.Mif1 "$@" | jq --compact-output .data
}

# error_text FILE: what the service says about an error, in what busctl has said. busctl does not tell its name.
error_text() {
    sed --quiet 's/^Call failed: //p' "$1"
}

# connect PATH ID ADDRESS: says how it went, and notes the time it took in $work/times.
connect() {
    local reply error
    error=$(mktemp -p "$work")
    if reply=$(call "$1" $pvd_interface ConnectToAddress 'sqa{sv}' "$3" "$port" 0 2>"$error"); then
        # (h socket, a{sv} details)
        echo "  $3 connected from $(jq --raw-output '.[1]["local-address"].data' <<<"$reply")"
        echo "$(jq '.[1]["handshake-us"].data' <<<"$reply") $3 in $2" >>"$work/times"
    else
        echo "  $3 not connected: $(error_text "$error")"
    fi
}

# ask_and_connect PATH ID FAMILY: everything that happens in one PvD.
ask_and_connect() {
    local reply error address family=$3
    error=$(mktemp -p "$work")
    # A PvD of one family can only connect to addresses of that family.
    if [[ $family == dual ]]; then family=any; fi
    echo "$2"
    if ! reply=$(call "$1" $pvd_interface TranslateName 'sa{sv}' "$name" 1 family s "$family" 2>"$error"); then
        echo "  not translated: $(error_text "$error")"
        return
    fi
    # (as addresses, a{sv} details)
    for address in $(jq --raw-output '.[0][]' <<<"$reply"); do
        connect "$1" "$2" "$address"
    done
}

objects=$(call /org/ietf/Mif1 org.freedesktop.DBus.ObjectManager GetManagedObjects) || exit 1
pvds=$(jq --raw-output --arg interface $pvd_interface '
    .[0] | to_entries[] | select(.value[$interface])
    | [.value[$interface].Id.data, .key, .value[$interface].Family.data] | @tsv' <<<"$objects" | sort)

number=1000
while IFS=$'\t' read -r id path family; do
    number=$((number + 1))
    ask_and_connect "$path" "$id" "$family" >"$work/block.$number" &
done <<<"$pvds"
wait
cat "$work"/block.*
if [[ ! -e $work/times ]]; then
    exit 1
fi
# The fastest handshake.
echo "best: $(sort --numeric-sort "$work/times" | head --lines=1 | cut --delimiter=' ' --fields=2-)"
