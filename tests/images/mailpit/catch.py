"""Takes mails on port 1025 and prints their headers."""

import asyncio
import email
import signal

from aiosmtpd.controller import UnthreadedController


class Catch:
    async def handle_DATA(self, server, session, envelope):
        for name, value in email.message_from_bytes(envelope.content).items():
            print(f"{name}: {value}")
        print(flush=True)
        return "250 2.0.0 Ok: queued as CAUGHT1"


async def main():
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    controller = UnthreadedController(Catch(), hostname="0.0.0.0", port=1025, loop=loop)
    controller.server = await controller._create_server()
    print("ready", flush=True)
    await stop.wait()


asyncio.run(main())
