#!/usr/bin/python3
"""An SMTP server that accepts every mail and delivers none.

Usage: smtp_sink.py PORT FOLDER. Each mail becomes a file NUMBER.eml in the folder, complete from the
moment that it is there; before the message stand the envelope's addresses as Return-Path and
Delivered-To.
"""
import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP

MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024


class Folder:
    def __init__(self, path: Path):
        self.path = path
        taken = [int(each.stem) for each in path.glob("*.eml") if each.stem.isdigit()]
        self.numbers = itertools.count(max(taken, default=0) + 1)

    async def handle_DATA(self, server, session, envelope):
        number = next(self.numbers)
        head = f"Return-Path: <{envelope.mail_from}>\r\n"
        head += "".join(f"Delivered-To: {address}\r\n" for address in envelope.rcpt_tos)
        unfinished = self.path / f".{number:06}"
        unfinished.write_bytes(head.encode() + envelope.content)
        unfinished.rename(self.path / f"{number:06}.eml")
        return "250 2.0.0 kept"


async def main(port: int, path: Path):
    folder = Folder(path)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(folder, hostname="sink.test", enable_SMTPUTF8=True, loop=loop,
                     data_size_limit=MESSAGE_LIMIT_BYTES), "127.0.0.1", port)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with server:
        await stopped.wait()
    os._exit(0)  # connections that clients keep open are no reason to wait


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
