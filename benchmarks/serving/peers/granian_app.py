"""The same fixed answer on granian, as ASGI or as its own RSGI. ``python granian_app.py asgi|rsgi PORT``."""

import asyncio
import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from static import ANSWER, app


class Rsgi:
    async def __rsgi__(self, scope, protocol):
        await protocol()
        protocol.response_bytes(200, [("content-type", "application/json")], ANSWER)


async def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    target, interface = (Rsgi(), Interfaces.RSGI) if kind == "rsgi" else (app, Interfaces.ASGINL)
    await Server(target, port=port, interface=interface, log_enabled=False, websockets=False).serve()


if __name__ == "__main__":
    asyncio.run(main(), loop_factory=uvloop.new_event_loop) if sys.version_info >= (3, 12) else uvloop.run(main())
