"""Compares messages with what they have become, as Python's email package reads both.

Reads lines of JSON with a name and two messages in base64, and prints a line for each difference.
"""

import base64
import email
import json
import re
import sys

ENCODINGS = ("7bit", "quoted-printable", "base64")


def encoding(part):
    return re.sub(r"\(.*?\)", "", str(part.get("Content-Transfer-Encoding", "7bit"))).strip().lower()


def parameters(part):
    """But for the character set that a part gets which has none."""
    found = part.get_params(failobj=[], header="Content-Type")[1:]
    return [(name, value) for name, value in found if value != "unknown-8bit"]


def compare(before, after, path):
    if before.get_content_type() != after.get_content_type():
        yield f"{path}: the type was {before.get_content_type()} and is {after.get_content_type()}"
        return
    if parameters(before) != parameters(after):
        yield f"{path}: the parameters were {parameters(before)} and are {parameters(after)}"
    names = ("content-type", "content-transfer-encoding", "mime-version")
    fields = [[(k, v) for k, v in part.items() if k.lower() not in names] for part in (before, after)]
    if fields[0] != fields[1]:
        yield f"{path}: the fields were {fields[0]} and are {fields[1]}"
    if encoding(after) not in ENCODINGS and encoding(after) != encoding(before):
        yield f"{path}: it is called {encoding(after)}"
    if before.is_multipart() != after.is_multipart():
        yield f"{path}: it has parts on one side only"
    elif before.is_multipart():
        if len(before.get_payload()) != len(after.get_payload()):
            yield f"{path}: it had {len(before.get_payload())} parts and has {len(after.get_payload())}"
        for number, (one, other) in enumerate(zip(before.get_payload(), after.get_payload())):
            yield from compare(one, other, f"{path}.{number}")
    else:
        one, other = (part.get_payload(decode=True) for part in (before, after))
        if one != other:
            yield f"{path}: it was {one[:300]!r} and is {other[:300]!r}"


for line in sys.stdin:
    name, before, after = json.loads(line)
    before, after = base64.b64decode(before), base64.b64decode(after)
    if any(octet > 127 for octet in after):
        print(f"{name}: it is not ASCII")
    if b"\0" in after:
        print(f"{name}: there is a NUL")
    if re.search(rb"[^\r\n]{999}", after):
        print(f"{name}: a line is too long")
    if re.search(rb"\r(?!\n)|(?<!\r)\n", after):
        print(f"{name}: there are line ends that are not CRLF")
    for difference in compare(email.message_from_bytes(before), email.message_from_bytes(after), name):
        print(difference)
