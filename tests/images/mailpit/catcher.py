"""Takes mails on port 1025 and shows them on port 8025, as Mailpit's API does: GET /api/v1/messages, /api/v1/message/ID, /readyz."""

import asyncio
import html
import json
import threading
from email import message_from_bytes, policy
from email.utils import getaddresses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP

mails = []


def addresses(header):
    return [{"Name": name, "Address": address} for name, address in getaddresses([str(header or "")])]


def body(message, kind):
    part = message.get_body((kind,))
    return part.get_content() if part is not None else ""


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = message_from_bytes(envelope.content, policy=policy.default)
        mails.append({
            "ID": str(len(mails) + 1),
            "MessageID": str(message["message-id"] or "").strip("<>"),
            "From": addresses(message["from"])[0],
            "To": addresses(message["to"]),
            "Subject": str(message["subject"] or ""),
            "Size": len(envelope.content),
            "Text": body(message, "plain"),
            "HTML": body(message, "html"),
        })
        return "250 2.0.0 Ok: queued as " + mails[-1]["ID"]


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        known = {mail["ID"]: mail for mail in list(mails)}
        listed = [{name: mail[name] for name in mail if name not in ("Text", "HTML")} for mail in reversed(known.values())]
        if path == "/readyz":
            self.answer("text/plain", "ok")
        elif path == "/api/v1/messages":
            self.answer("application/json", json.dumps({"total": len(listed), "count": len(listed), "messages": listed}))
        elif path.startswith("/api/v1/message/") and path.rsplit("/", 1)[1] in known:
            self.answer("application/json", json.dumps(known[path.rsplit("/", 1)[1]]))
        elif path == "/":
            rows = "".join(f"<li>{html.escape(mail['To'][0]['Address'])}: {html.escape(mail['Subject'])}" for mail in listed)
            self.answer("text/html; charset=utf-8", f"<!DOCTYPE html><title>Mails</title><ul>{rows}</ul>")
        else:
            self.send_error(404)

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


async def main():
    threading.Thread(target=ThreadingHTTPServer(("", 8025), Page).serve_forever, daemon=True).start()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Handler(), enable_SMTPUTF8=True, hostname="mailpit"), "", 1025)
    await server.serve_forever()


asyncio.run(main())
