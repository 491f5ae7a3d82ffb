"""HTTP servers on 127.0.0.1 that stand in for the places of the internet that users reach."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """Serve until the block ends, by default at a port that is free; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    """Answers without a log, keeping connections open as real servers do."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Nothing: the tests' output is not the place."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, value, status: int = 200) -> None:
        self.answer(json.dumps(value).encode(), status, Content_Type="application/json")


def files_handler(files: dict[str, bytes], requested: list[str]) -> type[BaseHTTPRequestHandler]:
    """A server of static files, by path; it notes what was asked for."""

    class Files(Quiet):
        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            requested.append(f"{self.command} {path}")
            content = files.get(path)
            self.answer(content or b"", 404 if content is None else 200)

        do_HEAD = do_GET

    return Files
