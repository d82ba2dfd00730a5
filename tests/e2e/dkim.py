"""Checks the signatures of the message on standard input, by dkimpy, against the records in the zone file that the
argument names; then alters the message in ways that every signature must notice.

Says how many signatures are right, or what is wrong.
"""

import re
import sys

import dkim

records = {}
for line in open(sys.argv[1], encoding="ascii"):
    name, _, rest = line.partition(" IN TXT ")
    records[name] = "".join(re.findall(r'"([^"]*)"', rest))


def look_up(name, timeout=5):
    return records[name.decode()].encode()


def right(message):
    outcomes = []
    for index in range(message.count(b"DKIM-Signature: ")):
        try:
            outcomes.append(dkim.DKIM(message).verify(idx=index, dnsfunc=look_up))
        except dkim.DKIMException as error:
            outcomes.append(False)
            print(error, file=sys.stderr)
    return outcomes


message = sys.stdin.buffer.read()
outcomes = right(message)
if not outcomes or not all(outcomes):
    sys.exit(f"signatures are wrong: {outcomes}")
header, _, body = message.partition(b"\r\n\r\n")
for what, altered in {
    "a line more": message + b"more\r\n",
    "another From": header + b"\r\nFrom: mallory@example.net\r\n\r\n" + body,
    "another Subject": b"Subject: buy\r\n" + message,
    "another type": header + b"\r\nContent-Type: text/html\r\n\r\n" + body,
    "another To": header + b"\r\nTo: mallory@example.net\r\n\r\n" + body,
}.items():
    if any(right(altered)):
        sys.exit(f"{what} is not noticed")
for what, altered in {
    "a trace": b"Received: from x by y;\r\n\tthu, 1 jan 1970 00:00:00 +0000\r\n" + message,
    "a list's field": b"List-Id: <l.example.net>\r\n" + message,
    "blank lines at the end": message + b"\r\n\r\n",
}.items():
    if not all(right(altered)):
        sys.exit(f"{what} must not matter")
print(len(outcomes))
