"""Reads the message on standard input, which has a report in it (RFC 8460), and says what it tells, as JSON."""

import email
import email.policy
import gzip
import json
import sys

message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
words, attachment = message.iter_parts()
content = gzip.decompress(attachment.get_content())
told = {name.lower(): str(value) for name, value in message.items()}
told["media type"] = message.get_content_type()
told["report-type"] = message["content-type"].params.get("report-type")
told["words"] = words.get_content()
told["attachment"] = attachment.get_content_type()
told["file name"] = attachment.get_filename()
told["report"] = json.loads(content)
print(json.dumps(told))
