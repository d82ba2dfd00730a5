"""Collects with claws-mail on a screen that nobody sees: PORT stls|tls AUTHORITY LOGIN PASSWORD FOLDER leave|delete.

The profile is made as its own dialogues make it, so that nothing is asked. The messages go from its MH folder into the
Maildir.
"""

import base64
import hashlib
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import time

# Less than the test's own, so that what went wrong is shown.
PATIENCE_SECONDS = 30
ROUNDS = 50000
FOLDERS = {"inbox": "inbox", "sent": "outbox", "draft": "draft", "queue": "queue", "trash": "trash"}

port, way, authority, login, password, folder, after = sys.argv[1:]
folder = pathlib.Path(folder)
config = folder / "config"
inbox = folder / "mail" / "inbox"


def stored_password(salt):
    """The form of a stored password without a passphrase of the user's: a block of anything first, then the text."""
    key = hashlib.pbkdf2_hmac("sha1", b"passkey0", salt, ROUNDS, 32)
    openssl = ["openssl", "enc", "-aes-256-cbc", "-nopad", "-K", key.hex(), "-iv", "00" * 16]
    plain = bytes(16) + password.encode().ljust(128, b"\0")
    sealed = subprocess.run(openssl, input=plain, stdout=subprocess.PIPE, check=True).stdout
    return "{AES-256-CBC,%d}%s" % (ROUNDS, base64.b64encode(sealed).decode())


def make_profile():
    config.mkdir()
    for name in FOLDERS:
        (folder / "mail" / name).mkdir(parents=True)
    (folder / "run").mkdir(mode=0o700)
    salt = bytes(64)
    (config / "clawsrc").write_text(
        "[Common]\nconfig_version=4\nconfirm_on_exit=0\nreceive_dialog_mode=2\nno_receive_error_panel=1\n"
        f"master_passphrase_salt={base64.b64encode(salt).decode()}\n"
    )
    (config / "passwordstorerc").write_text(
        f"[config]\nversion=2\n\n[account:1]\nrecv {stored_password(salt)}\n"
    )
    items = "".join(
        f'<folderitem type="{kind}" name="{name}" path="{name}" sort_key="none" mtime="0"/>'
        for name, kind in FOLDERS.items()
    )
    (config / "folderlist.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<folderlist><folder type="mh" name="mail" path="{folder}/mail">'
        f'<folderitem type="normal" name="mail" path="" sort_key="none">{items}</folderitem></folder></folderlist>\n'
    )


def write_account():
    tls = {"tls": 1, "stls": 2}[way]
    remove = {"leave": 0, "delete": 1}[after]
    (config / "accountrc").write_text(
        f"[config]\nconfig_version=4\n\n[Account: 1]\naccount_name=test\nis_default=1\nname=test\naddress={login}\n"
        f"protocol=0\nreceive_server=localhost\nsmtp_server=localhost\nuser_id={login}\ninbox=#mh/mail/inbox\n"
        f"remove_mail={remove}\nmessage_leave_time=0\nssl_pop={tls}\nset_popport=1\npop_port={port}\n"
        "receive_at_get_all=1\n"
    )
    # As after its question whether to trust the certificate, which stands beside that of the authority.
    pem = (pathlib.Path(authority).parent / "certificate.pem").read_text()
    end = "-----END CERTIFICATE-----\n"
    (config / "certs").mkdir(exist_ok=True)
    accepted = ssl.PEM_cert_to_DER_cert(pem[: pem.index(end) + len(end)])
    (config / "certs" / f"localhost.{port}.cert").write_bytes(accepted)


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.05)


def receive(display):
    """Runs the program until it has said goodbye to the server."""
    environment = dict(
        os.environ,
        DISPLAY=f":{display}",
        SSL_CERT_FILE=authority,
        XDG_RUNTIME_DIR=str(folder / "run"),
        NO_AT_BRIDGE="1",
    )
    log = config / "claws.log"
    log.unlink(missing_ok=True)
    claws = ["claws-mail", "--alternate-config-dir", str(config)]
    with open(folder / "debug", "wb") as debug:
        running = subprocess.Popen([*claws, "--debug", "--receive-all"], env=environment, stdout=debug, stderr=debug)
    try:
        wait_for("the goodbye", lambda: log.exists() and "+OK Goodbye" in log.read_text(errors="replace"))
        subprocess.run([*claws, "--exit"], env=environment, check=True, stdout=subprocess.DEVNULL)
        running.wait(PATIENCE_SECONDS)
    finally:
        if running.poll() is None:
            running.kill()
            print((folder / "debug").read_text(errors="replace")[-3000:])


if not config.exists():
    make_profile()
write_account()
reader, writer = os.pipe()
xvfb = ["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp"]
screen = subprocess.Popen(xvfb, pass_fds=[writer], stderr=subprocess.DEVNULL)
try:
    receive(os.read(reader, 16).decode().strip())
finally:
    screen.terminate()
    screen.wait()
for message in inbox.iterdir():
    if message.name.isdigit():
        shutil.move(message, folder / "maildir" / "new" / f"{time.monotonic_ns()}.{message.name}")
