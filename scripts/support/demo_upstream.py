"""The demo's upstream: an API that knows nothing about tokens and shows what reached it."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Answers every request with its method, path and fields as JSON."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        received = self.rfile.read(length)
        seen = {
            "method": self.command,
            "path": self.path,
            "fields": dict(self.headers.items()),
            "bodyBytes": len(received),
        }
        body = (json.dumps(seen, indent=2) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_DELETE = answer

    def log_message(self, format, *arguments):
        """Quiet: the proxy's access log tells the story."""


def serve(port):
    """Binds 127.0.0.1 and returns the server, which its caller runs."""
    ThreadingHTTPServer.daemon_threads = True
    return ThreadingHTTPServer(("127.0.0.1", port), Echo)
