# SCRAM-SHA-256 and SCRAM-SHA-256-PLUS with tls-server-end-point, from RFC 5802, RFC 7677 and RFC 5929.
import hashlib, hmac, secrets, socket, ssl, sys
from base64 import b64decode, b64encode

port, way, authority, protocol, mechanism, login, password = sys.argv[1:]
mechanism, _, elsewhere = mechanism.partition(' ')

raw = socket.create_connection(('127.0.0.1', int(port)))
context = ssl.create_default_context(cafile=authority)
stream = raw.makefile('rb')

def say(line):
    raw.sendall(line + b'\r\n')

def answer():
    while True:
        line = stream.readline().rstrip(b'\r\n')
        if protocol == 'pop3' or line[3:4] != b'-':
            return line

def tls():
    global raw, stream
    raw = context.wrap_socket(raw, server_hostname='127.0.0.1')
    stream = raw.makefile('rb')

if way == 'tls':
    tls()
answer()
if way == 'starttls':
    if protocol == 'smtp':
        say(b'EHLO client.example.test')
        answer()
    say(b'STARTTLS' if protocol == 'smtp' else b'STLS')
    answer()
    tls()
if protocol == 'smtp':
    say(b'EHLO client.example.test')
    answer()

header, data = b'n,,', b''
if mechanism.endswith('PLUS'):
    header = b'p=tls-server-end-point,,'
    data = hashlib.sha256(raw.getpeercert(binary_form=True) + elsewhere.encode()).digest()

def challenge():
    line = answer()
    if not line.startswith(b'334 ' if protocol == 'smtp' else b'+ '):
        sys.exit(line.decode())
    return b64decode(line.partition(b' ')[2], validate=True)

nonce = secrets.token_urlsafe(18).encode()
bare = b'n=' + login.encode() + b',r=' + nonce
say(b'AUTH ' + mechanism.encode())
challenge()
say(b64encode(header + bare))
first = challenge()
both, salt, iterations = (part[2:] for part in first.split(b','))
assert both.startswith(nonce) and len(both) > len(nonce)
salted = hashlib.pbkdf2_hmac('sha256', password.encode(), b64decode(salt), int(iterations))
client_key = hmac.digest(salted, b'Client Key', 'sha256')
last = b'c=' + b64encode(header + data) + b',r=' + both
message = bare + b',' + first + b',' + last
signature = hmac.digest(hashlib.sha256(client_key).digest(), message, 'sha256')
proof = bytes(a ^ b for a, b in zip(client_key, signature))
say(b64encode(last + b',p=' + b64encode(proof)))
final = challenge()
assert final == b'v=' + b64encode(hmac.digest(hmac.digest(salted, b'Server Key', 'sha256'), message, 'sha256'))
say(b'')
line = answer()
if not line.startswith(b'235 ' if protocol == 'smtp' else b'+OK'):
    sys.exit(line.decode())
