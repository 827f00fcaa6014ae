"""A person at the desktop, for tests: sees what is on the screen through the accessibility tree (AT-SPI), presses
and focuses through it, and looks at the screen itself.

Reads one request a line (JSON) from standard input and answers each with one line (JSON).
"""

import json
import struct
import sys
import warnings
import zlib

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

# What is deprecated is so in favour of what this version has not.
warnings.simplefilter("ignore", DeprecationWarning)

# Xvfb keeps its screen in this file (the format of xwd).
SCREEN = "/run/testbed/screen/Xvfb_screen0"

STATES = {
    "focused": Atspi.StateType.FOCUSED,
    "focusable": Atspi.StateType.FOCUSABLE,
    "selected": Atspi.StateType.SELECTED,
    "checked": Atspi.StateType.CHECKED,
    "sensitive": Atspi.StateType.SENSITIVE,
}


def application(name):
    desktop = Atspi.get_desktop(0)
    desktop.clear_cache()
    for index in range(desktop.get_child_count()):
        child = desktop.get_child_at_index(index)
        if child is not None and child.get_name() == name:
            return child
    return None


def text_of(node):
    if node.get_text_iface() is None:
        return None
    return Atspi.Text.get_text(node, 0, Atspi.Text.get_character_count(node))


def extents_of(node):
    if node.get_component_iface() is None:
        return [0, 0, 0, 0]
    extents = Atspi.Component.get_extents(node, Atspi.CoordType.WINDOW)
    return [extents.x, extents.y, extents.width, extents.height]


def described(node, depth, extents):
    states = node.get_state_set()
    return {
        "depth": depth,
        "role": node.get_role_name(),
        "name": node.get_name() or "",
        "description": node.get_description() or "",
        "text": text_of(node),
        "states": [name for name, state in STATES.items() if states.contains(state)],
        "extents": extents,
    }


def walk(node, depth=0):
    """Node and description of all that is shown: what is not, such as other pages of a stack, has no size. Neither
    have the pages themselves, so what is in them is looked at in any case. Each answer is a call to the program, so
    nothing more is asked about what is not shown."""
    extents = extents_of(node)
    if depth < 2 or (extents[2] > 0 and extents[3] > 0):
        yield node, described(node, depth, extents)
    for index in range(node.get_child_count()):
        child = node.get_child_at_index(index)
        if child is not None:
            yield from walk(child, depth + 1)


def find(request):
    root = application(request["application"])
    if root is None:
        return None
    root.clear_cache()
    wanted = request.get("role"), request["name"]
    for node, found in walk(root):
        same_name = found["name"] == wanted[1] or (request.get("prefix") and found["name"].startswith(wanted[1]))
        if same_name and wanted[0] in (None, found["role"]):
            return node
    return None


def tree(request):
    root = application(request["application"])
    if root is None:
        return []
    root.clear_cache()
    return [found for _, found in walk(root)]


def press(request):
    node = find(request)
    if node is None or node.get_action_iface() is None or Atspi.Action.get_n_actions(node) == 0:
        return False
    return Atspi.Action.do_action(node, 0)


def focus(request):
    node = find(request)
    return node is not None and Atspi.Component.grab_focus(node)


def write(request):
    node = find(request)
    return node is not None and Atspi.EditableText.set_text_contents(node, request["text"])


def png(path, width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def screenshot(request):
    """The part of the screen within `area` (x, y, width, height) as a PNG file."""
    with open(SCREEN, "rb") as file:
        data = file.read()
    header = struct.unpack(">25I", data[:100])
    size, _, _, _, screen_width, screen_height = header[:6]
    line, colours = header[12], header[19]
    pixels = size + colours * 12
    x, y, width, height = request.get("area") or [0, 0, screen_width, screen_height]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, screen_width), min(y + height, screen_height)

    def row(number):
        begin = pixels + number * line + left * 4
        source = data[begin : begin + (right - left) * 4]
        target = bytearray((right - left) * 3)
        target[0::3], target[1::3], target[2::3] = source[2::4], source[1::4], source[0::4]
        return bytes(target)

    png(request["path"], right - left, bottom - top, [row(number) for number in range(top, bottom)])
    return True


REQUESTS = {"tree": tree, "press": press, "focus": focus, "write": write, "screenshot": screenshot}


def main():
    Atspi.init()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = REQUESTS[request["do"]](request)
        except (GLib.Error, AttributeError) as error:
            # What it was looking at has just gone (or a half of it): the test looks again.
            answer = {"gone": str(error)}
            sys.stderr.write(f"{error!r} {request}\n")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
