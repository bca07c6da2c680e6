"""An issuer under a test's control: it publishes key sets and discovery documents, counts who looks
when, and can be slow, dead, wrong, huge or rotating.

    issuer = Issuer(key)
    issuer.publish(key, next_key)       # rotates
    issuer.behaves(html)                # from now on, whatever is asked
    issuer.behaves(hang, KEYS)          # only the key set
    issuer.stop(); issuer.start()       # dead, and back on the same port
"""

import dataclasses
import email.utils
import functools
import gzip
import hashlib
import json
import threading
import time

from .gateway import free_port, poll
from .standard import AUDIENCE
from .tokens import mint
from .upstream import Close, Upstream

KEYS = "/keys"
OIDC = "/.well-known/openid-configuration"
RFC8414 = "/.well-known/oauth-authorization-server"
MIB = 1 << 20


@dataclasses.dataclass
class Look:
    """One request of an issuer, and when it came."""

    at: float
    path: str
    fields: list
    peer: object

    def get(self, name, default=None):
        return self.fields.get(name, default)


def message(body, status="200 OK", fields=(), content_type="application/json"):
    """A whole response, after which the issuer closes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = (f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{lines}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    return Close(head.encode("latin-1") + body)


class Issuer:
    """Serves the key set at `/keys`, and discovery documents at the places that `documents` maps.

    `base` is the path of the issuer's identifier, `tls` a server context. `at` maps a path to what
    answers there: a function of (issuer, look) that returns bytes, a `Close` or None, as scripts of
    `Upstream` do."""

    def __init__(self, *published, base="", tls=None, start=True, host="127.0.0.1"):
        self.port = free_port()
        self.tls = tls
        self.url = f"{'http' if tls is None else 'https'}://{host}:{self.port}"
        self.name = self.url + base
        self.keys_url = self.url + KEYS
        self.lock = threading.Lock()
        self.looks = []
        self.etag = None
        self.fields = []
        self.override = None
        # Blocked answers wait for this; a stop or a change of behaviour lets them go.
        self.released = threading.Event()
        self.at = {KEYS: serve_keys, f"{base.rstrip('/')}{OIDC}": serve_document}
        self.document = {"issuer": self.name, "jwks_uri": self.keys_url,
                         "response_types_supported": ["code"]}
        self.publish(*published)
        self.server = None
        if start:
            self.start()

    # Life and death.
    def start(self):
        self.server = Upstream(port=self.port, tls=self.tls)
        self.server.script = self._answer
        return self

    def stop(self):
        """Nobody listens any more; what is being answered is cut."""
        if self.server is not None:
            self.release()
            self.server.close()
            self.server = None

    def release(self):
        self.released.set()
        self.released = threading.Event()

    # What it says.
    def publish(self, *published):
        """Keys, or JWKs as they shall stand; a changed set has another ETag where there is one."""
        self.key_set = {"keys": [each.jwk() if hasattr(each, "jwk") else each
                                 for each in published]}

    def behaves(self, answer=None, *paths):
        """One answer for everything or for some paths; None returns to the usual."""
        self.release()
        if not paths:
            self.override = answer
        for path in paths:
            self.at[path] = answer or (serve_keys if path == KEYS else serve_document)

    def _answer(self, request, peer):
        look = Look(time.monotonic(), request.target.partition("?")[0], request.fields, peer)
        with self.lock:
            self.looks.append(look)
        answer = self.override or self.at.get(look.path) or missing
        return answer(self, look)

    # What was asked.
    def count(self, path=KEYS):
        """Looks at a path so far."""
        with self.lock:
            return sum(look.path == path for look in self.looks)

    def times(self, path=KEYS):
        with self.lock:
            return [look.at for look in self.looks if look.path == path]

    def paths(self):
        with self.lock:
            return [look.path for look in self.looks]

    def wait(self, count, path=KEYS, seconds=10):
        """Until that many looks came."""
        poll(lambda: self.count(path) >= count, seconds, f"look {count} at {path}")

    @property
    def connections(self):
        return self.server.connections

    # What a gateway and its clients need.
    def block(self, *, discovery=False, keys=None, **more):
        """The issuer's block of a configuration; `keys` adds to the source."""
        source = {"discovery": True} if discovery else {"url": self.keys_url}
        return {"issuer": self.name, "audiences": [AUDIENCE], **more,
                "keys": {**source, **(keys or {})}}

    def mint(self, key, **more):
        return mint(**{"iss": self.name, "key": key, **more})


# Answers.
def missing(issuer, look):
    return message({"error": "not here"}, "404 Not Found")


def serve_keys(issuer, look):
    """The set, or 304 to who has it already."""
    body = json.dumps(issuer.key_set).encode()
    fields = list(issuer.fields)
    if issuer.etag is True:
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        fields.append(("ETag", tag))
        if look.get("If-None-Match") == tag:
            return message_304(fields)
    return message(body, fields=fields)


def message_304(fields=()):
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return Close(f"HTTP/1.1 304 Not Modified\r\n{lines}Connection: close\r\n\r\n".encode())


def serve_document(issuer, look):
    return message(issuer.document)


def says(body, status="200 OK", **more):
    return lambda issuer, look: message(body, status, **more)


def html(issuer, look):
    return message(b"<!doctype html><title>Maintenance</title><p>Soon.", content_type="text/html")


def failing(issuer, look):
    return message({"error": "oops"}, "500 Internal Server Error")


def hang(issuer, look):
    """Takes the request and says nothing."""
    issuer.released.wait(60)
    return Close()


def hang_in_the_head(issuer, look):
    look.peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: appl")
    return hang(issuer, look)


def hang_in_the_body(issuer, look):
    body = json.dumps(issuer.key_set).encode()
    look.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])
    return hang(issuer, look)


def cut(issuer, look):
    """Closes one octet before the end."""
    body = json.dumps(issuer.key_set).encode()
    return Close(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])


def cut_chunked(issuer, look):
    body = json.dumps(issuer.key_set).encode()
    return Close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n"
                 % (len(body), body))


def reset(issuer, look):
    return Close(reset=True)


def silence(issuer, look):
    return Close()


def not_http(issuer, look):
    return Close(b"SSH-2.0-OpenSSH_9.2\r\n")


def slow(seconds):
    """Answers as usual after a while."""
    def answer(issuer, look):
        issuer.released.wait(seconds)
        return serve_keys(issuer, look) if look.path == KEYS else serve_document(issuer, look)
    return answer


def trickle(issuer, look):
    """A set of any length, octet by octet and never done."""
    look.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")
    released = issuer.released
    while not released.wait(0.05):
        look.peer.send(b" ")
    return Close()


def trickle_heads(issuer, look):
    """Field lines without end."""
    look.peer.send(b"HTTP/1.1 200 OK\r\n")
    released = issuer.released
    while not released.wait(0.05):
        look.peer.send(b"X-More: yes\r\n")
    return Close()


def interim_storm(issuer, look):
    """Interim responses without end."""
    released = issuer.released
    while not released.is_set():
        look.peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)
    return Close()


def huge(issuer, look, total=200 * MIB):
    """200 MB as one JSON string; `sent` on the issuer tells how much went out."""
    look.peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{"keys":"' % total)
    return pour(issuer, look, total)


def huge_chunked(issuer, look):
    look.peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    return pour(issuer, look, 200 * MIB, lambda part: b"%x\r\n%b\r\n" % (len(part), part))


def huge_to_the_end(issuer, look):
    """Framed by the close alone."""
    look.peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    return pour(issuer, look, 200 * MIB)


def huge_head(issuer, look):
    look.peer.send(b"HTTP/1.1 200 OK\r\nX-Big: ")
    return pour(issuer, look, 200 * MIB)


def pour(issuer, look, total, frame=bytes):
    part = frame(b"a" * (256 << 10))
    issuer.sent = 0
    while issuer.sent < total:
        look.peer.send(part)
        issuer.sent += len(part)
    return Close()


def gzipped(issuer, look):
    """Whatever the client said it accepts."""
    body = gzip.compress(json.dumps(issuer.key_set).encode())
    return message(body, fields=[("Content-Encoding", "gzip")])


def gzipped_undeclared(issuer, look):
    return message(gzip.compress(json.dumps(issuer.key_set).encode()))


def gzip_bomb(issuer, look):
    return message(bomb(), fields=[("Content-Encoding", "gzip")])


@functools.cache
def bomb():
    return gzip.compress(b'{"keys":[' + b" " * (64 * MIB) + b"]}")


def redirect(location, status="302 Found"):
    """`location` is text, or a function of the issuer."""
    def answer(issuer, look):
        where = location(issuer) if callable(location) else location
        return message(b"", status, fields=[("Location", where)])
    return answer


def chain(length, path="/hop"):
    """That many redirects before the set."""
    def answer(issuer, look):
        done = 0 if look.path == KEYS else int(look.path.removeprefix(path))
        if done == length:
            return serve_keys(issuer, look)
        return redirect(f"{path}{done + 1}")(issuer, look)
    return answer


def date(seconds=0):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)
