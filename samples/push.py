#!/usr/bin/env python3
"""Sends Matroska or fragmented MP4 to Kinora and prints each ack as it comes.

    samples/push.py FILE --stream cam1
    ffmpeg ... -f matroska - | samples/push.py - --stream cam1

Needs nothing but Python 3.9. The response arrives while the request is still being sent, so a
client must read and write at the same time; most HTTP libraries cannot, asyncio's streams can.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from urllib.parse import urlsplit

CHUNK_BYTES = 16 * 1024


class Refused(Exception):
    """The server does not take the upload, or not the rest of it."""


async def send(writer, source, bytes_per_second):
    """Sends all of `source` in chunks, evenly if a rate is given."""
    started, sent = time.monotonic(), 0
    while chunk := await asyncio.to_thread(source.read1, CHUNK_BYTES):
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await writer.drain()
        sent += len(chunk)
        if bytes_per_second:
            await asyncio.sleep(started + sent / bytes_per_second - time.monotonic())
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def lines(reader):
    """The lines of the response's body; raises Refused with the body if it is not a 200."""
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if status == 100:
        async for line in lines(reader):
            yield line
        return
    if headers.get("transfer-encoding") != "chunked":
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        raise Refused(f"{status}: {body.decode()}")
    pending = b""
    while size := int(await reader.readline(), 16):
        pending += await reader.readexactly(size)
        await reader.readexactly(2)
        *complete, pending = pending.split(b"\n")
        for line in complete:
            if status != 200:
                raise Refused(f"{status}: {line.decode()}")
            yield line
    if status != 200:
        raise Refused(f"{status}: {pending.decode()}")


async def receive(reader):
    """Prints acks until the response ends; gives how many fragments are durable."""
    persisted = 0
    async for line in lines(reader):
        ack = json.loads(line)
        print(line.decode(), flush=True)
        if ack["event"] == "error":
            raise Refused(json.dumps(ack["error"]))
        persisted += ack["event"] == "persisted"
    return persisted


async def push(arguments, source):
    server = urlsplit(arguments.server)
    secure = ssl.create_default_context(cafile=arguments.ca) if server.scheme == "https" else None
    port = server.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(server.hostname, port, ssl=secure)
    head = [
        f"POST /v1/streams/{arguments.stream}/media HTTP/1.1",
        f"Host: {server.netloc}",
        "Transfer-Encoding: chunked",
        "Connection: close",
    ]
    if arguments.token:
        head.append(f"Authorization: Bearer {arguments.token}")
    writer.write("\r\n".join([*head, "", ""]).encode())
    rate = arguments.kbits * 125 if arguments.kbits else None
    sending = asyncio.create_task(send(writer, source, rate))
    receiving = asyncio.create_task(receive(reader))
    # The response ends last, or early if the server refuses.
    await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
    if sending.done() and sending.exception() is None or receiving.done():
        persisted = await receiving
    else:
        # Sending failed: what the server said about it explains more than the broken connection.
        persisted = await asyncio.wait_for(receiving, 5)
    sending.cancel()
    writer.close()
    return persisted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="a .mkv, .webm or fragmented .mp4 file, or - for standard input")
    parser.add_argument("--stream", required=True, help="name of the stream")
    parser.add_argument("--server", default=os.environ.get("KINORA_SERVER", "http://127.0.0.1:8080"))
    parser.add_argument("--token", default=os.environ.get("KINORA_TOKEN"))
    parser.add_argument("--ca", help="certificate to trust, for https with one of your own")
    parser.add_argument("--kbits", type=float, help="send at most so many kbit/s")
    arguments = parser.parse_args()
    source = sys.stdin.buffer if arguments.file == "-" else open(arguments.file, "rb")
    try:
        persisted = asyncio.run(push(arguments, source))
    except (Refused, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
        sys.exit(f"push: {error or type(error).__name__}")
    print(f"push: {persisted} fragments are durable", file=sys.stderr)


if __name__ == "__main__":
    main()
