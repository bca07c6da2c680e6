"""The demo's key server: the issuer's JWK Set, which has one key more after its first fetch."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(port, issuer):
    """Binds 127.0.0.1 and returns the server, which its caller runs."""
    fetched = []

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self):
            body = issuer.key_set(rotated=bool(fetched)).encode()
            fetched.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *arguments):
            """Quiet: the proxy's own log tells of its fetches."""

    ThreadingHTTPServer.daemon_threads = True
    return ThreadingHTTPServer(("127.0.0.1", port), Keys)
