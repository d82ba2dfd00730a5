"""Envelopes and authors with what pyspf and authheaders say of them, in a DNS of its own.

The arguments are the client's address and a file with the published test suite of RFC 7208. Prints a line of JSON for the
zones, one for each envelope (the result of SPF, and of DMARC), and one for what pyspf says of each case of the suite.
"""

import json
import sys
import tempfile

import authheaders
import authheaders.dmarc_lookup
import spf

# Everything below "test" belongs to somebody of its own.
suffixes = tempfile.NamedTemporaryFile("w")
suffixes.write("test\n")
suffixes.flush()
authheaders.dmarc_lookup.get_suffix_list_file_name = lambda: suffixes.name

CLIENT, HELO = sys.argv[1], "client.example.test"

# Each zone with its records: name below it, type, data.
ZONES = {
    "passes.test": [("@", "TXT", f"v=spf1 ip4:{CLIENT} -all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "fails.test": [("@", "TXT", "v=spf1 ip4:192.0.2.1 -all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "softly.test": [("@", "TXT", "v=spf1 ~all"), ("_dmarc", "TXT", "v=DMARC1; p=quarantine")],
    "neutral.test": [("@", "TXT", "v=spf1 ?all"), ("_dmarc", "TXT", "v=DMARC1; p=none")],
    "silent.test": [("@", "TXT", "a note, and no policy"), ("mail", "A", CLIENT)],
    "broken.test": [("@", "TXT", "v=spf1 ip4:nonsense -all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "two.test": [("@", "TXT", "v=spf1 -all"), ("@", "TXT", "v=spf1 +all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "strict.test": [
        ("news", "TXT", f"v=spf1 ip4:{CLIENT} -all"),
        ("_dmarc", "TXT", "v=DMARC1; p=reject; aspf=s"),
    ],
    "relaxed.test": [
        ("news", "TXT", f"v=spf1 ip4:{CLIENT} -all"),
        ("_dmarc", "TXT", "v=DMARC1; p=reject; aspf=r"),
    ],
    "double.test": [
        ("@", "TXT", f"v=spf1 ip4:{CLIENT} -all"),
        ("_dmarc", "TXT", "v=DMARC1; p=reject"),
        ("_dmarc", "TXT", "v=DMARC1; p=none"),
    ],
    "other.test": [("@", "TXT", f"v=spf1 ip4:{CLIENT} -all"), ("_dmarc", "TXT", "v=spf1 is no policy")],
    "byaddress.test": [("@", "TXT", "v=spf1 a:mail.silent.test -all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "byexchanger.test": [
        ("@", "TXT", "v=spf1 mx -all"),
        ("@", "MX", (10, "mail.silent.test")),
        ("_dmarc", "TXT", "v=DMARC1; p=reject"),
    ],
    "bynetwork.test": [("@", "TXT", "v=spf1 ip4:198.51.100.0/24 -all"), ("_dmarc", "TXT", "v=DMARC1;p=reject")],
    "includes.test": [("@", "TXT", "v=spf1 include:passes.test -all"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "includesnone.test": [("@", "TXT", "v=spf1 include:silent.test -all")],
    "redirects.test": [("@", "TXT", "v=spf1 redirect=fails.test"), ("_dmarc", "TXT", "v=DMARC1; p=reject")],
    "circles.test": [("@", "TXT", "v=spf1 include:circles.test -all")],
    "macros.test": [
        ("@", "TXT", "v=spf1 exists:%{ir}.%{v}.%{l}.list.macros.test -all"),
        (".".join(reversed(CLIENT.split("."))) + ".in-addr.ann.list", "A", "127.0.0.2"),
        ("_dmarc", "TXT", "v=DMARC1; p=reject"),
    ],
    "void.test": [("@", "TXT", "v=spf1 a:x1.void.test a:x2.void.test a:x3.void.test -all")],
    "long.test": [("@", "TXT", "v=spf1 " + " ".join(f"a:m{n}.long.test" for n in range(11)) + " -all")]
    + [(f"m{n}", "A", "192.0.2.9") for n in range(11)],
}
# The sender of the envelope, and the author.
MAIL = [(f"ann@{zone}", f"ann@{zone}") for zone in ZONES] + [
    ("ann@news.strict.test", "ann@strict.test"),
    ("ann@news.relaxed.test", "ann@relaxed.test"),
    ("ann@news.strict.test", "ann@news.strict.test"),
    ("ann@passes.test", "ann@fails.test"),
    ("ann@passes.test", "ann@sub.passes.test"),
    ("ann@passes.test", "ann@silent.test"),
    ("bob@macros.test", "bob@macros.test"),
    ("ann@nowhere.test", "ann@passes.test"),
]

records = {}
for zone, entries in ZONES.items():
    for name, kind, data in entries:
        name = zone if name == "@" else f"{name}.{zone}"
        records.setdefault((name.lower(), kind), []).append(data)


def look_up(name, kind, *_arguments, **_options):
    name = name.rstrip(".").lower()
    found = records.get((name, kind), [])
    return [((name, kind), (data.encode(),) if kind == "TXT" else data) for data in found]


def policy(name):
    found = records.get((name.rstrip(".").lower(), "TXT"), [])
    # It takes one record; several are none (RFC 7489, section 6.6.3).
    return found[0] if len(found) == 1 else None


def line(kind, data):
    if kind == "TXT":
        return " ".join('"%s"' % data[at : at + 250] for at in range(0, len(data), 250))
    return "%d %s." % data if kind == "MX" else data


def suite(path):
    """What pyspf says of each case, by its name."""
    said = {}
    for scenario in json.load(open(path)):
        zone = {name.lower().rstrip("."): entries for name, entries in scenario["zonedata"].items()}

        def of_zone(name, kind, *_arguments, **_options):
            entries = zone.get(name.rstrip(".").lower())
            if entries is None:
                if name.lower().startswith("error."):
                    raise spf.TempError("DNS timeout")
                return []
            kinds = {key for entry in entries if isinstance(entry, dict) for key in entry}
            found = []
            for entry in entries:
                if entry == "TIMEOUT":
                    if found:
                        break
                    raise spf.TempError("DNS timeout")
                ((key, data),) = entry.items()
                if key == "SPF" and "TXT" not in kinds:
                    key = "TXT"
                if key == "CNAME":
                    found.append(((name, key), data))
                elif key == kind and data == "TIMEOUT":
                    raise spf.TempError("DNS timeout")
                elif key == kind and data != "NONE":
                    if key == "TXT":
                        data = tuple(part.encode("latin-1") for part in ([data] if isinstance(data, str) else data))
                    found.append(((name, key), tuple(data) if key == "MX" else data))
            return found

        spf.DNSLookup = of_zone
        for name, case in scenario["tests"].items():
            query = spf.query(case["host"], case["mailfrom"], case["helo"], strict=1)
            said[name] = {"pyspf": query.check()[0], "expected": case["result"]}
    return said


print(json.dumps({
    zone: "\n".join(f"{name} {kind} {line(kind, data)}" for name, kind, data in entries)
    for zone, entries in ZONES.items()
}))
spf.DNSLookup = look_up
for sender, author in MAIL:
    result = spf.query(CLIENT, sender, HELO, strict=1).check()[0]
    found = authheaders.SPFAuthenticationResult(result=result, smtp_mailfrom=sender)
    message = f"From: {author}\r\n\r\ntext\r\n".encode()
    dmarc = authheaders.check_dmarc(message, spf_result=found, dnsfunc=policy).result
    print(json.dumps({"sender": sender, "author": author, "spf": result, "dmarc": dmarc}))
print(json.dumps(suite(sys.argv[2])))
