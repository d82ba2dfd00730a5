# OAUTHBEARER by hand (RFC 7628), and XOAUTH2: ends well where the server accepted the login, and says what it said where
# it did not. Python's own clients do the framing.
import json, poplib, smtplib, ssl, sys
from base64 import b64decode, b64encode

port, way, authority, protocol, mechanism, form, login, token = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if mechanism == 'XOAUTH2':
    message = f'user={login}\x01auth=Bearer {token}\x01\x01'
else:
    message = f'n,a={login},\x01host=localhost\x01port={port}\x01auth=Bearer {token}\x01\x01'
refusal = []

def respond(challenge=None):
    if challenge:
        # RFC 7628 section 3.2.3: what went wrong, in JSON; it wants an answer.
        refusal.append(json.loads(challenge))
        return '\x01'
    return message

def smtp():
    if way == 'tls':
        client = smtplib.SMTP_SSL('localhost', int(port), context=context)
    else:
        client = smtplib.SMTP('localhost', int(port))
        client.starttls(context=context)
    client.ehlo()
    assert mechanism in client.esmtp_features['auth'].split()
    try:
        client.auth(mechanism, respond, initial_response_ok=form == 'initial')
    except smtplib.SMTPAuthenticationError as error:
        sys.exit(f'{error.smtp_code} {error.smtp_error.decode()} {refusal}')

def pop3():
    if way == 'tls':
        client = poplib.POP3_SSL('localhost', int(port), context=context)
    else:
        client = poplib.POP3('localhost', int(port))
        client.stls(context=context)
    assert mechanism in client.capa()['SASL']
    command = f'AUTH {mechanism}'
    if form == 'initial':
        command += ' ' + b64encode(message.encode()).decode()
    client._putcmd(command)
    while True:
        line = client._getline()[0]
        if not line.startswith(b'+ '):
            break
        client._putcmd(b64encode(respond(b64decode(line[2:], validate=True)).encode()).decode())
    if not line.startswith(b'+OK'):
        sys.exit(f'{line.decode()} {refusal}')

smtp() if protocol == 'smtp' else pop3()
