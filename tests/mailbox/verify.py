"""Verifies webhooks with the reference implementation of Standard Webhooks.

One JSON object a line in, {secret, headers, body}; one JSON string a line out: "" when it verifies, else why not.
"""

import json
import sys

from standardwebhooks import Webhook

for line in sys.stdin:
    asked = json.loads(line)
    try:
        Webhook(asked["secret"]).verify(asked["body"], asked["headers"])
        print(json.dumps(""), flush=True)
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
