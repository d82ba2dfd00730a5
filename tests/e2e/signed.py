"""Messages that dkimpy has signed and sealed, and altered ones, with what dkimpy itself says of each.

Prints a line of JSON for the records of the keys, and one for each message: what it is, its octets in base64, whether its
first signature is right, and what its chain is.
"""

import base64
import json
import re
import subprocess
import sys

import dkim
import nacl.encoding
import nacl.signing


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def rsa(bits):
    key = openssl("genrsa", "-traditional", str(bits))
    public = openssl("rsa", "-pubout", "-outform", "DER", given=key)
    return key, "p=" + base64.b64encode(public).decode()


records, keys = {}, {}
for selector, bits in {"rsa": 2048, "small": 1024, "list": 2048}.items():
    keys[selector], public = rsa(bits)
    records[f"{selector}._domainkey.sender.test"] = f"v=DKIM1; k=rsa; {public}"
# The same keys, for other uses and by other names.
public = records["rsa._domainkey.sender.test"]
records["web._domainkey.sender.test"] = public.replace("k=rsa;", "k=rsa; s=web;")
records["old._domainkey.sender.test"] = public.replace("k=rsa;", "k=rsa; h=sha1;")
records["gone._domainkey.sender.test"] = "v=DKIM1; k=rsa; p="
records["list._domainkey.lists.test"] = records["list._domainkey.sender.test"]
keys["web"] = keys["old"] = keys["gone"] = keys["nowhere"] = keys["rsa"]
signing = nacl.signing.SigningKey.generate()
keys["ed"] = signing.encode(encoder=nacl.encoding.Base64Encoder)
public = signing.verify_key.encode(encoder=nacl.encoding.Base64Encoder).decode()
records["ed._domainkey.sender.test"] = f"v=DKIM1; k=ed25519; p={public}"


def look_up(name, timeout=5):
    found = records.get(name.decode().rstrip("."))
    return found.encode() if found else None


def sign(message, selector="rsa", forms=(b"relaxed", b"relaxed"), **more):
    algorithm = b"ed25519-sha256" if selector == "ed" else b"rsa-sha256"
    fields = {"signature_algorithm": algorithm, "canonicalize": forms, **more}
    return dkim.sign(message, selector.encode(), b"sender.test", keys[selector], **fields) + message


def seal(message, results):
    results = b"Authentication-Results: lists.test; " + results + b"\r\n"
    return b"".join(dkim.arc_sign(results + message, b"list", b"lists.test", keys["list"], b"lists.test")) + message


def say(what, message):
    try:
        right = dkim.verify(message, dnsfunc=look_up) if b"DKIM-Signature:" in message else None
    except dkim.DKIMException:
        right = False
    chain = dkim.arc_verify(message, dnsfunc=look_up)[0].decode()
    print(json.dumps({"what": what, "message": base64.b64encode(message).decode(), "right": right, "chain": chain}))


print(json.dumps({"what": "", "records": records}))
header = b"From: Ann <ann@sender.test>\r\nTo: bob@example.test\r\nSubject: x\r\n  folded \t here \r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
bodies = {
    "short": b"\r\nbody\r\n",
    "blank lines at the end": b"\r\nbody \t\r\n\r\n \t\r\n\r\n",
    "nothing but blanks": b"\r\n \r\n\t\r\n",
    "no body": b"\r\n",
    "dots": b"\r\n.\r\n..a\r\n",
    "blanks within": b"\r\n  a \t b\r\n\r\n\tc\r\n",
    "large": b"\r\n" + b"a line of a large message \r\n" * 20000,
}
simple, relaxed = b"simple", b"relaxed"
for name, body in bodies.items():
    for forms in [(simple, simple), (relaxed, relaxed), (simple, relaxed), (relaxed, simple)]:
        for selector in ["rsa", "ed"]:
            say(f"{name}, {forms}, {selector}", sign(header + body, selector, forms))
message = header + bodies["short"]
for selector in ["small", "web", "old", "gone", "nowhere"]:
    say(f"the key {selector}", sign(message, selector))
signed = sign(message)
say("two signatures", sign(signed, "ed"))
say("another body", signed + b"more\r\n")
say("another Subject", signed.replace(b"Subject: x", b"Subject: y"))
say("another From", signed.replace(b"ann@", b"eve@"))
say("a signature that is cut", re.sub(rb"b=[^;]{20}", b"b=", signed, count=1))
say("no signature", message)
say("blanks that are folded otherwise", signed.replace(b"Subject: x\r\n  folded \t here", b"SUBJECT:x folded here"))
passed = b"spf=pass smtp.mailfrom=ann@sender.test; dmarc=pass header.from=sender.test"
sealed = seal(signed, passed)
say("sealed", sealed)
say("sealed twice", seal(sealed, b"arc=pass; dmarc=pass header.from=sender.test"))
say("changed, then sealed", seal(signed + b"-- \r\nthe list\r\n", passed))
say("sealed, then changed", sealed + b"more\r\n")
say("a seal without its results", re.sub(rb"ARC-Authentication-Results: [^\n]*\n(?:[ \t][^\n]*\n)*", b"", sealed))
say("other results", sealed.replace(b"spf=pass", b"spf=fail"))
