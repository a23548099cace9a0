"""A real SMTP server that writes one JSON line for each mail it takes, and misbehaves as it is told.

mailbox.py PORT (accepting | refusing SEED | silent) [(--starttls | --tls) CERTIFICATE KEY]

With --starttls it takes mails only after STARTTLS, with --tls it is encrypted from the first byte.

Port 0 is any; the first line says which. Each line on standard input is answered by one, when all before it was written. `refusing` fails each mail up to five times, by a pattern that depends on the seed, the recipient and the
Message-ID alone: a 4xx at RCPT or DATA, a connection cut before the mail is taken, and one cut after it was taken, which makes the sender
repeat it. `silent` takes connections and never says a word.
"""

import argparse
import asyncio
import hashlib
import json
import os
import ssl
import sys
from collections import Counter
from datetime import timezone
from email import message_from_bytes, policy

import icalendar
from aiosmtpd.smtp import SMTP


def say(**line):
    print(json.dumps(line), flush=True)


def instant(component, name):
    """A property's time as an instant, in seconds since 1970; null for one without a zone."""
    value = component.get(name)
    if value is None or getattr(value.dt, "tzinfo", None) is None:
        return None
    return int(value.dt.astimezone(timezone.utc).timestamp())


def calendar(part):
    whole = icalendar.Calendar.from_ical(part.get_payload(decode=True))
    [event] = whole.walk("VEVENT")
    attendee = event.get("ATTENDEE")
    return {
        "method": str(whole.get("METHOD")),
        "uid": str(event.get("UID")),
        "sequence": int(event.get("SEQUENCE", -1)),
        "status": str(event.get("STATUS", "")),
        "start": instant(event, "DTSTART"),
        "end": instant(event, "DTEND"),
        "attendee": str(attendee) if attendee is not None else None,
    }


def mail(envelope):
    raw = envelope.content
    message = message_from_bytes(raw, policy=policy.default)

    def body(kind):
        part = message.get_body((kind,))
        return part.get_content() if part is not None else None

    parts = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    return {
        "message_id": str(message["message-id"] or ""),
        "from": str(message["from"] or ""),
        "to": str(message["to"] or ""),
        "recipients": envelope.rcpt_tos,
        "subject": str(message["subject"] or ""),
        "date": str(message["date"] or ""),
        "text": body("plain"),
        "html": body("html"),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "calendar": calendar(parts[0]) if parts else None,
    }


class Handler:
    def __init__(self, seed):
        self.seed = seed
        self.tries = Counter()

    def dice(self, key):
        return hashlib.sha256(f"{self.seed}|{key}".encode()).digest()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.seed is not None:
            key = f"RCPT {address}"
            self.tries[key] += 1
            if self.tries[key] <= self.dice(key)[0] % 2:
                say(refused=address)
                return "450 4.2.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        try:
            taken = mail(envelope)
        except Exception as error:
            say(unreadable=repr(error))
            return "554 5.6.0 cannot be read"
        if self.seed is not None:
            key = taken["message_id"]
            dice = self.dice(key)
            self.tries[key] += 1
            turn = self.tries[key]
            await asyncio.sleep(dice[10] % 4 * 0.03)
            if server.transport is None or server.transport.is_closing():
                return "421 4.3.0 nobody there"
            if turn <= dice[0] % 5:
                manner = dice[turn] % 3
                if manner == 2:
                    say(mail=taken)
                else:
                    say(refused=key)
                if manner > 0:
                    server.transport.abort()
                return "451 4.3.0 come back later"
        say(mail=taken)
        return "250 OK"


async def silence(reader, writer):
    say(connected=True)
    await reader.read()
    await asyncio.Event().wait()


def asked():
    """A line on standard input asks whether all that came before was said; its end, for this process to end."""
    if not sys.stdin.readline():
        os._exit(0)
    say(synced=True)


def understood():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("manner", choices=["accepting", "refusing", "silent"])
    parser.add_argument("seed", nargs="?")
    encryption = parser.add_mutually_exclusive_group()
    encryption.add_argument("--starttls", nargs=2)
    encryption.add_argument("--tls", nargs=2)
    return parser.parse_args()


def encrypting(files):
    if files is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    return context


async def main():
    asked_for = understood()
    if asked_for.manner == "silent":
        server = await asyncio.start_server(silence, "127.0.0.1", asked_for.port)
    else:
        handler, starttls = Handler(asked_for.seed), encrypting(asked_for.starttls)
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(
                handler,
                enable_SMTPUTF8=True,
                hostname="mailbox.test",
                ident="mailbox",
                tls_context=starttls,
                require_starttls=starttls is not None,
            ),
            "127.0.0.1",
            asked_for.port,
            ssl=encrypting(asked_for.tls),
        )
    asyncio.get_running_loop().add_reader(sys.stdin, asked)
    say(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
