# EXTERNAL (RFC 4422 appendix A) by hand: its arguments are port, way, authority, protocol, the file with the client's
# certificate and key or nothing, the version of TLS, and the initial response, or "-" for none. It says whether the
# mechanism is offered, and the last reply to it.
import socket, ssl, sys

port, way, authority, protocol, certificate, version, initial = sys.argv[1:]

raw = socket.create_connection(('127.0.0.1', int(port)))
context = ssl.create_default_context(cafile=authority)
context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
if certificate:
    context.load_cert_chain(certificate)
stream = raw.makefile('rb')

def ask(line):
    if line is not None:
        raw.sendall(line.encode() + b'\r\n')
    lines = [stream.readline().decode().rstrip('\r\n')]
    if not lines[0]:
        sys.exit('the connection has ended')
    if line == 'CAPA':
        while lines[-1] != '.':
            lines.append(stream.readline().decode().rstrip('\r\n'))
    while protocol == 'smtp' and lines[-1][3:4] == '-':
        lines.append(stream.readline().decode().rstrip('\r\n'))
    return lines

def tls():
    global raw, stream
    raw = context.wrap_socket(raw, server_hostname='127.0.0.1')
    stream = raw.makefile('rb')

hello = 'EHLO client.example.test' if protocol == 'smtp' else 'CAPA'
if way == 'tls':
    tls()
ask(None)
if way == 'starttls':
    before = ask(hello)
    assert not any('EXTERNAL' in line for line in before), before
    ask('STARTTLS' if protocol == 'smtp' else 'STLS')
    tls()
offers = [line for line in ask(hello) if line.startswith(('250-AUTH ', 'SASL '))]
print('offered' if 'EXTERNAL' in offers[0].split() else 'not offered')
if initial == '-':
    said = ask('AUTH EXTERNAL')
    if said[0] in ('334 ', '+ '):
        said = ask('')
else:
    said = ask('AUTH EXTERNAL ' + initial)
print(said[-1])
