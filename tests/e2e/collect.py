"""Collects by poplib what is new in a maildrop: PORT stls|tls AUTHORITY LOGIN PASSWORD FOLDER leave|delete."""

import pathlib
import poplib
import ssl
import sys

port, way, authority, login, password, folder, after = sys.argv[1:]
folder = pathlib.Path(folder)
seen = folder / "seen"
known = seen.read_text().split() if seen.exists() else []
context = ssl.create_default_context(cafile=authority)
if way == "tls":
    pop = poplib.POP3_SSL("localhost", int(port), context=context)
else:
    pop = poplib.POP3("localhost", int(port))
    pop.stls(context=context)
pop.user(login)
pop.pass_(password)
count, octets = pop.stat()
sizes = [int(line.split()[1]) for line in pop.list()[1]]
assert len(sizes) == count and sum(sizes) == octets, (count, octets, sizes)
for line in pop.uidl()[1]:
    number, unique_id = line.decode().split()
    assert pop.uidl(number).decode().split()[2] == unique_id
    if unique_id not in known:
        message = b"".join(line + b"\r\n" for line in pop.retr(int(number))[1])
        assert len(message) == sizes[int(number) - 1]
        assert message.startswith(b"\r\n".join(pop.top(int(number), 0)[1]))
        (folder / "maildir" / "new" / unique_id).write_bytes(message)
        known.append(unique_id)
    if after == "delete":
        pop.dele(int(number))
pop.quit()
seen.write_text("\n".join(known))
