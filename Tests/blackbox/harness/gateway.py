"""Runs the built binary with a generated configuration."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import uuid

from .client import TIMEOUT, Closed, Connection, request_bytes

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("BEARWARD", ROOT / ".build/debug/bearward"))


# Ports that were given out: one that nobody has bound yet looks free.
given = set()

# Every eighth port is this process's own: pytest-xdist gives those of a parallel run their numbers.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = range(18000, 32000)[PROCESS % 8::8]


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it before the proxy does."""
    while True:
        port = random.choice(PORTS)
        if port in given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                given.add(port)
                return port
            except OSError:
                continue


def poll(find, seconds=5, what="the expected state"):
    """Calls `find` until it returns something true."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.01)
    return found


def reachable(address, folder):
    """What a client connects to: a socket's path, or host and port."""
    if address.startswith("unix:"):
        return folder / address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port))


class AccessLog:
    """JSON lines; every line must parse, and none may hold a token."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def text(self):
        return self.path.read_text() if self.path.exists() else ""

    def raw_lines(self):
        """Whole lines only. `splitlines` would also split at U+2028 and others inside strings."""
        return self.text().split("\n")[:-1]

    def lines(self):
        return [json.loads(line) for line in self.raw_lines()]

    def find(self, request_id):
        """The one line of a request, by the id it carried."""

        def matching():
            mark = json.dumps(request_id)
            return [json.loads(line) for line in self.raw_lines() if mark in line]

        found = poll(matching, what=f"the log line of {request_id}")
        assert len(found) == 1, found
        return found[0]


class Gateway:
    def __init__(self, folder, config, *, name="gateway", environment=None, descriptors=None,
                 start=True, tls=None):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.config = json.loads(json.dumps(config))
        self.environment = environment
        self.descriptors = descriptors
        # A client context where the first listener speaks TLS.
        self.tls = tls
        self.log = AccessLog(self.folder / f"{name}.access.log")
        listeners = self.config.setdefault("listeners", [{}])
        for listener in listeners:
            listener.setdefault("address", f"127.0.0.1:{free_port()}")
        self.address = reachable(listeners[0]["address"], self.folder)
        # It begins last, so all others are there when it is.
        self.last_address = reachable(listeners[-1]["address"], self.folder)
        self.config.setdefault("log", {"access": self.log.path.name})
        self.path = self.folder / f"{name}.json"
        self.path.write_text(json.dumps(self.config, indent=2))
        self.process = None
        if start:
            self.start()

    def start(self):
        command = [str(BINARY), "serve", "--config", str(self.path)]
        if self.descriptors:
            command = ["prlimit", f"--nofile={self.descriptors}", *command]
        environment = {**os.environ, **(self.environment or {})}
        with open(self.folder / f"{self.name}.output", "ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment,
                stdin=subprocess.DEVNULL)
        poll(self._listens, 15, f"{self.name} listening")
        return self

    def _listens(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
        try:
            Connection(self.last_address, 2).close()
            return True
        except OSError:
            return False

    @property
    def admin_address(self):
        return reachable(self.config["admin"]["address"], self.folder)

    @property
    def output(self):
        """What the process wrote, shown when it dies."""
        return (self.folder / f"{self.name}.output").read_text(errors="replace")[-4000:]

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def ensure(self):
        """A crash fails its own test only; the next one finds a fresh process."""
        if not self.running:
            self.start()

    def stop(self, seconds=15):
        """SIGTERM; returns the exit status."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed, since SIGTERM did not end it"

    def connect(self, timeout=TIMEOUT, **more):
        return Connection(self.address, timeout, **{"tls": self.tls, **more})

    def send(self, method="GET", target="/", **more):
        """A well-formed request on its own connection."""
        return self.raw(request_bytes(method, target, **more), method)

    def get(self, target, token=None, **more):
        return self.send("GET", target, token=token, **more)

    def raw(self, data, method="GET"):
        with self.connect() as connection:
            connection.send(data)
            try:
                return connection.response(method)
            except Closed as closed:
                raise AssertionError(
                    f"no whole response: {closed}; process: "
                    f"{'runs' if self.running else self.output}") from closed

    def logged(self, method="GET", target="/", *, fields=(), **more):
        """The response to a request and its access-log line."""
        identifier = uuid.uuid4().hex
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        response = self.send(method, target, fields=[*pairs, ("X-Request-Id", identifier)], **more)
        return response, self.log.find(identifier)

    def assert_serves(self, target="/public/alive"):
        assert self.running, f"the process ended with {self.process.poll()}:\n{self.output}"
        response = self.get(target)
        assert response.status == 200, f"no longer serves: {response}"


class Proxy:
    """A gateway and its upstream as one test sees them."""

    def __init__(self, gateway, upstream):
        self.gateway = gateway
        self.upstream = upstream

    def __getattr__(self, name):
        return getattr(self.gateway, name)

    def nothing_forwarded(self, since=0):
        """A witness request follows, so that anything forwarded before it has had its time."""
        witness = f"/public/{uuid.uuid4().hex}"
        assert self.gateway.get(witness).status == 200
        seen = [r.target for r in self.upstream.requests[since:]]
        assert seen == [witness], f"reached the upstream: {seen}"

    def refuses(self, data, statuses):
        """Raw bytes are refused with one of `statuses`, and nothing reaches the upstream."""
        expected = statuses if isinstance(statuses, (tuple, set, list)) else (statuses,)
        since = len(self.upstream.requests)
        response = self.gateway.raw(data)
        assert response.status in expected, str(response)
        self.nothing_forwarded(since)
        return response
