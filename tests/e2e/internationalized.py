# Sends internationalized mail by SMTP (SMTPUTF8, RFC 6531), fetches it by POP3 with and without UTF8 (RFC 6856), and
# compares what the email package reads of both forms. The arguments are the ports of reception and POP3, and bob's login
# and password.
import email, email.policy, poplib, random, smtplib, sys

smtp_port, pop3_port, login, password = sys.argv[1:]
random.seed(6857)

WORDS = ['Größe', 'straße', 'señor', '漢字', 'émile', 'plain', 'Ю́рий', '😀', 'naïve', 'x', 'Ångström', 'ABC']

def words(least, most):
    return ' '.join(random.choice(WORDS) for _ in range(random.randint(least, most)))

def name():
    text = words(1, 3)
    return random.choice([text, '"%s, %s"' % (text, words(1, 1)), text])

def people(count):
    return ', '.join('%s <p%d@example.org>' % (name(), random.randrange(1000)) for _ in range(count))

def message(number):
    local = random.choice(['jürgen', '用户', 'plain'])
    domain = random.choice(['example.org', 'bücher.example'])
    fields = [
        'From: %s <%s@%s>' % (name(), local, domain),
        'To: %s' % people(random.randint(1, 30)),
        'Subject: %s' % words(1, 40),
        'Message-ID: <%s.%d@example.org>' % (random.choice(['ü', 'u']), number),
        'Date: Mon, 30 Jul 2012 01:23:45 +0000 (%s)' % words(1, 2),
        'X-Any: %s' % words(1, 5),
        'MIME-Version: 1.0',
        'Content-Type: multipart/mixed; boundary="=_b%d"' % number,
    ]
    parts = []
    for part in range(random.randint(1, 3)):
        parts.append('\r\n'.join([
            '--=_b%d' % number,
            'Content-Type: text/plain; charset=utf-8',
            'Content-Transfer-Encoding: 8bit',
            'Content-Description: %s' % words(1, 3),
            'Content-Disposition: attachment; filename="%s %d.txt"' % (words(1, 9), part),
            '',
            'Subject: %s\r\n.%s\r\n..\r\n' % (words(1, 3), words(1, 9)),
        ]))
    return ('\r\n'.join(fields) + '\r\n\r\n' + ''.join(parts) + '--=_b%d--\r\n' % number).encode()

def session(is_utf8):
    maildrop = poplib.POP3('127.0.0.1', int(pop3_port))
    assert 'UTF8' in maildrop.capa() and maildrop.capa()['UTF8'] == ['USER'], maildrop.capa()
    if is_utf8:
        maildrop.utf8()
    maildrop.user(login)
    maildrop.pass_(password)
    count, total = maildrop.stat()
    sizes = [int(line.split()[1]) for line in maildrop.list()[1]]
    assert (len(sizes), sum(sizes)) == (count, total), (sizes, total)
    messages = []
    for number, size in enumerate(sizes, 1):
        status, lines, _ = maildrop.retr(number)
        content = b'\r\n'.join(lines) + b'\r\n'
        assert len(content) == size, (number, len(content), size)
        assert int(status.split()[1]) == size, status
        body = lines.index(b'') + 1
        for k in (0, 1, 5, 10_000):
            assert maildrop.top(number, k)[1] == lines[:body + k], (number, k)
        messages.append(content)
    ids = maildrop.uidl()[1]
    maildrop.quit()
    return messages, ids

# In names the package shows the blank between two encoded-words (RFC 2047 §6.2 does not).
def shown(name):
    return name and ' '.join(name.split())

def people_of(field):
    return [(shown(group.display_name), [(shown(one.display_name), one.addr_spec) for one in group.addresses])
            for group in field.groups]

sent = [message(number) for number in range(60)]
with smtplib.SMTP('127.0.0.1', int(smtp_port)) as smtp:
    for content in sent:
        smtp.sendmail('jürgen@bücher.example', [login], content, mail_options=['SMTPUTF8', 'BODY=8BITMIME'])

stored, ids = session(is_utf8=True)
downgraded, ids_again = session(is_utf8=False)
assert ids == ids_again
changed = 0
for number, (content, whole, ascii) in enumerate(zip(sent, stored, downgraded)):
    assert whole.endswith(content), number
    # The package takes UTF-8 in header fields from text only, and octets of bodies from octets only.
    before = email.message_from_string(whole.decode(), policy=email.policy.default)
    octets = email.message_from_bytes(whole, policy=email.policy.default)
    after = email.message_from_bytes(ascii, policy=email.policy.default)
    for part in after.walk():
        for field, value in part.raw_items():
            assert value.isascii(), (number, field, value)
    for line in ascii.split(b'\r\n\r\n', 1)[0].split(b'\r\n'):
        assert line.isascii() and len(line) <= 78, (number, line)
    assert after['subject'] == before['subject'], (number, after['subject'], before['subject'])
    assert after['x-any'] == before['x-any'], number
    assert after['date'].datetime == before['date'].datetime, (number, after['date'], before['date'])
    assert people_of(after['to']) == people_of(before['to']), (number, people_of(after['to']), people_of(before['to']))
    [sender] = before['from'].addresses
    local, domain = sender.username, sender.domain
    if local.isascii():
        [(_, [(displayed, address)])] = people_of(after['from'])
        ascii_domain = {'bücher.example': 'xn--bcher-kva.example'}.get(domain, domain)
        assert (displayed, address) == (sender.display_name, local + '@' + ascii_domain), (number, after['from'])
    else:
        [(displayed, nobody)] = people_of(after['from'])
        assert (displayed, nobody) == (sender.display_name + ' ' + local + '@' + domain, []), (number, after['from'])
    if before['message-id'].isascii():
        assert after['message-id'] == before['message-id'], number
    else:
        assert after['message-id'] is None and after['downgraded-message-id'] == before['message-id'], number
    for one, body, other in zip(before.iter_parts(), octets.iter_parts(), after.iter_parts(), strict=True):
        assert one.get_filename() == other.get_filename(), (number, one.get_filename(), other.get_filename())
        assert one['content-description'] == other['content-description'], number
        assert body.get_payload(decode=True) == other.get_payload(decode=True), number
    changed += whole != ascii
print('%d messages are the same in %d other forms' % (len(sent), changed))
