# Sends binary content by BDAT (RFC 3030) in odd chunks, fetches it by POP3, and compares every leaf as the email package
# decodes it. The arguments are the ports of reception and POP3, and bob's login and password.
import email, itertools, poplib, random, socket, sys

smtp_port, pop3_port, login, password = sys.argv[1:]
random.seed(3030)

EVERY = bytes(range(256))
LEAVES = [
    EVERY,
    EVERY[::-1] + b'\r\n.\r\n\r\n--b\n--b--\n\n--bb\r\n--b-\r\n--\r\n\r' + EVERY,
    b'almost\r\n--=_1\n\r\n--b.\r\r\n--bb\x0c\r\n--b.-\r\n--=_1 --\r\n', b'\r\n', b'', b'\r', b'\n\r', b'--b--no', bytes(3000), random.randbytes(300_000), b'line\r\n' * 500, b'\r\n\r\n',
]

def leaf(body):
    return b'Content-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\n' + body

def multipart(boundary, parts):
    lines = [b'Content-Type: multipart/mixed;\r\n\tboundary*0="' + boundary[:1] + b'"; boundary*1=' + boundary[1:],
             b'Content-Transfer-Encoding: Binary (of course)', b'', b'preamble']
    for part in parts:
        lines += [b'--' + boundary, part]
    return b'\r\n'.join(lines + [b'--' + boundary + b'--', b'epilogue', b''])

def nested(message):
    return b'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n' + message

HEAD = b'From: dave@example.org\r\nMIME-Version: 1.0\r\n'
parts = [leaf(body) for body in LEAVES]
inner = multipart(b'bb', parts[:3])
MESSAGES = [(HEAD + leaf(body), [body]) for body in LEAVES]
MESSAGES.append((HEAD + multipart(b'=_1', parts), LEAVES))
MESSAGES.append((HEAD + multipart(b'b.', [parts[0], inner, nested(HEAD + inner), parts[-1]]),
                 LEAVES[:1] + LEAVES[:3] + LEAVES[:3] + LEAVES[-1:]))

connection = socket.create_connection(('127.0.0.1', int(smtp_port)))
stream = connection.makefile('rb')

def reply(code):
    while True:
        line = stream.readline()
        assert line.startswith(code), line
        if line[3:4] != b'-':
            return

def ask(line, code=b'250'):
    connection.sendall(line + b'\r\n')
    reply(code)

reply(b'220')
ask(b'EHLO client.example.test')
for content, _ in MESSAGES:
    ask(b'MAIL FROM:<dave@example.org> BODY=BINARYMIME')
    ask(b'RCPT TO:<' + login.encode() + b'>')
    ask(b'DATA', b'503')
    rest = content
    for size in itertools.cycle([1, 2, 3, 5, 1, 57, 76, 997, 1, 4099, 70_001]):
        chunk, rest = rest[:size], rest[size:]
        connection.sendall(b'BDAT %d%s\r\n' % (len(chunk), b'' if rest else b' LAST') + chunk)
        reply(b'250')
        if not rest:
            break
ask(b'QUIT', b'221')

maildrop = poplib.POP3('127.0.0.1', int(pop3_port))
maildrop.user(login)
maildrop.pass_(password)
assert maildrop.stat()[0] == len(MESSAGES), maildrop.stat()
for number, (content, leaves) in enumerate(MESSAGES, 1):
    _, lines, _ = maildrop.retr(number)
    assert not any(b'\r' in line or b'\n' in line for line in lines), number
    assert all(len(line) <= 998 for line in lines), number
    message = email.message_from_bytes(b'\r\n'.join(lines) + b'\r\n')
    assert not any(part.defects for part in message.walk()), (number, [part.defects for part in message.walk()])
    assert not any(part.get('Content-Transfer-Encoding') == 'binary' for part in message.walk()), number
    decoded = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    assert decoded == leaves, (number, [len(leaf) for leaf in decoded], [len(leaf) for leaf in leaves])
maildrop.quit()
print(len(MESSAGES), 'messages are the same')
