"""A milter that does with a message what its sender, a recipient or its Subject asks for. The argument is its socket.

It also adds a field with everything that it was told, so that a test sees it.
"""

import os
import sys
import threading

import Milter


class Asked(Milter.Base):
    def connect(self, host, family, address):
        self.told = [f"host={host}", f"address={address[0] if address else ''}"]
        return Milter.CONTINUE

    def hello(self, name):
        self.told.append(f"hello={name}")
        return Milter.CONTINUE

    def envfrom(self, path, *parameters):
        self.told = self.told[:3] + [f"from={path}", *parameters]
        self.told += [f"{name}={self.getsymval(name)}" for name in ("i", "j", "{daemon_name}", "{auth_authen}", "{auth_type}")]
        self.text = b""
        self.subject = ""
        if path.startswith("<reject@"):
            self.setreply("550", "5.7.1", "the milter does not want this sender")
            return Milter.REJECT
        return Milter.CONTINUE

    def envrcpt(self, path, *parameters):
        self.told.append(f"to={path}")
        if path.startswith("<carol@"):
            self.setreply("550", "5.1.1", "the milter does not know carol")
            return Milter.REJECT
        return Milter.CONTINUE

    def header(self, name, value):
        if name == "Subject":
            self.subject = value
        if value == "hang":
            threading.Event().wait()
        if value == "drop":
            os._exit(1)
        return Milter.CONTINUE

    def body(self, piece):
        self.text += piece
        return Milter.CONTINUE

    def eom(self):
        self.addheader("X-Told", "; ".join(self.told + [f"octets={len(self.text)}"]))
        match self.subject:
            case "reject":
                self.setreply("554", "5.7.1", "one line", "and 100%% more")
                return Milter.REJECT
            case "tempfail":
                return Milter.TEMPFAIL
            case "discard":
                return Milter.DISCARD
            case "quarantine":
                self.quarantine("looks odd")
            case "change":
                self.chgheader("Subject", 1, "changed")
                self.chgheader("X-Secret", 1, "")
                self.addheader("X-First", "1", 0)
                self.addheader("Authentication-Results", "mail.example.test;\n\tmilter=pass", 1)
            case "text":
                self.replacebody("another text\nof two lines\n")
            case "sender":
                self.chgfrom("<other@b.example>")
            case "recipients":
                self.delrcpt("<bob@example.test>")
                self.addrcpt("<alice@example.test>")
            case "nobody":
                self.delrcpt("<bob@example.test>")
            case "busy":
                self.progress()
        return Milter.ACCEPT


Milter.factory = Asked
Milter.set_flags(Milter.CURR_ACTS)
Milter.runmilter("asked", sys.argv[1], 600)
