#!/usr/bin/env python3
"""Lists the fragments of a time range and saves them as playable files.

    samples/list_range.py --stream cam1 --start 2026-03-01T12:00:00Z --end 2026-03-01T12:05:00Z
    samples/list_range.py --stream cam1 --save folder

Needs nothing but Python 3.9. Fragments that belong together are joined into one MP4 file; where
the recording has a gap or its codec changes, the next file begins.
"""

import argparse
import json
import os
import struct
import sys
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class Server:
    """What of the API this program uses."""

    def __init__(self, url, token):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path, **query):
        text = urlencode({name: value for name, value in query.items() if value is not None})
        request = Request(f"{self.url}/v1/streams/{path}?{text}", headers=self.headers)
        with urlopen(request) as response:
            return response.read()

    def fragments(self, stream, page, **query):
        """All fragments, page by page."""
        token = None
        while True:
            answer = json.loads(self.get(f"{stream}/fragments", limit=page, token=token, **query))
            yield from answer["fragments"]
            token = answer["next_token"]
            if not token:
                return


def boxes(data):
    """The top-level boxes of an MP4 file: (type, bytes). ISO/IEC 14496-12, section 4.2."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        yield kind, data[at : at + (size or len(data) - at)]
        at += size or len(data)


class Saver:
    """Writes fragments into as few files as can play them."""

    def __init__(self, folder, stream):
        self.folder, self.stream = folder, stream
        self.header, self.output, self.files = None, None, []
        os.makedirs(folder, exist_ok=True)

    def add(self, fragment, data):
        parts = list(boxes(data))
        header = b"".join(part for kind, part in parts if kind in (b"ftyp", b"moov"))
        if self.output is None or fragment["discontinuity"] or header != self.header:
            self.close()
            moment = fragment["producer_time"].replace(":", "-")
            self.files.append(os.path.join(self.folder, f"{self.stream}_{moment}.mp4"))
            self.output = open(self.files[-1], "wb")
            self.output.write(header)
            self.header = header
        self.output.write(b"".join(part for kind, part in parts if kind not in (b"ftyp", b"moov")))

    def close(self):
        if self.output:
            self.output.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stream", required=True)
    parser.add_argument("--start", help="RFC 3339, or milliseconds since 1970; default: the first fragment")
    parser.add_argument("--end", help="default: the last fragment")
    parser.add_argument("--by", choices=["producer", "server"], default="producer", help="which clock the range means")
    parser.add_argument("--save", metavar="FOLDER", help="also save the media there")
    parser.add_argument("--page", type=int, default=100, help="fragments asked for at a time")
    parser.add_argument("--server", default=os.environ.get("KINORA_SERVER", "http://127.0.0.1:8080"))
    parser.add_argument("--token", default=os.environ.get("KINORA_TOKEN"))
    arguments = parser.parse_args()
    server = Server(arguments.server, arguments.token)
    saver = Saver(arguments.save, arguments.stream) if arguments.save else None
    count = 0
    try:
        query = {"start": arguments.start, "end": arguments.end, "by": arguments.by}
        for fragment in server.fragments(arguments.stream, arguments.page, **query):
            print("{number:>8}  {producer_time}  {duration_ms:>6} ms  {bytes:>9} bytes  {state}".format(**fragment))
            if saver:
                saver.add(fragment, server.get(f"{arguments.stream}/fragments/{fragment['number']}.mp4"))
            count += 1
    except HTTPError as error:
        sys.exit(f"list_range: {error.code}: {error.read().decode()}")
    except URLError as error:
        sys.exit(f"list_range: {arguments.server}: {error.reason}")
    if saver:
        saver.close()
        print(*saver.files, sep="\n")
    print(f"list_range: {count} fragments", file=sys.stderr)


if __name__ == "__main__":
    main()
