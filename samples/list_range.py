#!/usr/bin/env python3
"""Lists the fragments of a time range and saves them as playable files.

    samples/list_range.py --stream cam1 --start 2026-03-01T12:00:00Z --end 2026-03-01T12:05:00Z
    samples/list_range.py --stream cam1 --save folder

Needs nothing but Python 3.9. Each fragment is saved as a file that plays by itself; range.ffconcat
beside them plays all in a row, or makes one file of them:

    ffplay folder/range.ffconcat
    ffmpeg -i folder/range.ffconcat -c copy range.mp4
"""

import argparse
import json
import os
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


class Folder:
    """Fragments as files, and the list that ffmpeg's concat demuxer plays."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        self.list = ["ffconcat version 1.0"]

    def add(self, fragment, form, data):
        name = f"{fragment['number']:08}.{form}"
        with open(os.path.join(self.path, name), "wb") as file:
            file.write(data)
        self.list += [f"file {name}", f"duration {fragment['duration_ms'] / 1000}"]

    def finish(self):
        path = os.path.join(self.path, "range.ffconcat")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.list) + "\n")
        return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stream", required=True)
    parser.add_argument("--start", help="RFC 3339, or milliseconds since 1970; default: the first fragment")
    parser.add_argument("--end", help="default: the last fragment")
    parser.add_argument("--by", choices=["producer", "server"], default="producer", help="which clock the range means")
    parser.add_argument("--save", metavar="FOLDER", help="also save the media there")
    parser.add_argument("--format", choices=["mp4", "mkv"], default="mp4", help="how to save it")
    parser.add_argument("--page", type=int, default=100, help="fragments asked for at a time")
    parser.add_argument("--server", default=os.environ.get("KINORA_SERVER", "http://127.0.0.1:8080"))
    parser.add_argument("--token", default=os.environ.get("KINORA_TOKEN"))
    arguments = parser.parse_args()
    server = Server(arguments.server, arguments.token)
    folder = Folder(arguments.save) if arguments.save else None
    count = 0
    try:
        query = {"start": arguments.start, "end": arguments.end, "by": arguments.by}
        for fragment in server.fragments(arguments.stream, arguments.page, **query):
            print("{number:>8}  {producer_time}  {duration_ms:>6} ms  {bytes:>9} bytes  {state}".format(**fragment))
            if folder:
                path = f"{arguments.stream}/fragments/{fragment['number']}.{arguments.format}"
                folder.add(fragment, arguments.format, server.get(path))
            count += 1
    except HTTPError as error:
        sys.exit(f"list_range: {error.code}: {error.read().decode()}")
    except URLError as error:
        sys.exit(f"list_range: {arguments.server}: {error.reason}")
    if folder:
        print(folder.finish())
    print(f"list_range: {count} fragments", file=sys.stderr)


if __name__ == "__main__":
    main()
