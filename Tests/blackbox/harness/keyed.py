"""Gateways whose keys come from issuers under test control, and their admin listener."""

import json
import subprocess
from contextlib import contextmanager

import pytest

from .client import Connection, request_bytes
from .gateway import BINARY, Gateway, Proxy, free_port, poll
from .h2c import concurrently
from .issuer import Issuer
from .standard import small
from .upstream import Upstream


class Keyed(Proxy):
    """A gateway with an admin listener."""

    def admin(self, target, method="GET", **more):
        """One request of the admin listener."""
        with Connection(self.admin_address) as connection:
            more = {"host": "localhost", **more}
            if method == "POST":
                more = {"body": b"", **more}
            connection.send(request_bytes(method, target, **more))
            return connection.response(method)

    def status(self, name="main", tenant=None):
        """What `/status` tells of one issuer or tenant; None where it is not there."""
        found = [each for each in self.admin("/status").json()["issuers"]
                 if each["issuer"] == name and each.get("tenant") == tenant]
        assert len(found) < 2, found
        return found[0] if found else None

    def kids(self, name="main", tenant=None):
        return [key.get("kid") for key in self.status(name, tenant)["keys"]]

    def until(self, holds, what, *, name="main", seconds=10):
        """Until the issuer's status is as `holds(status)` says; that status."""
        def look():
            found = self.status(name)
            return found if holds(found) else None
        return poll(look, seconds, what)

    def until_keys(self, *names, seconds=15):
        """Until every named issuer has keys."""
        for name in names or ("main",):
            self.until(lambda status: status["keys"], f"keys of {name}", name=name, seconds=seconds)
        return self

    def until_fault(self, reason=None, *, name="main", seconds=10):
        """Until a look failed, for that reason where one is named; the fault."""
        def holds(status):
            fault = status.get("lastFault")
            return fault and reason in (None, fault["reason"])
        return self.until(holds, f"a look that fails: {reason}", name=name,
                          seconds=seconds)["lastFault"]

    def look(self, name=None):
        """Has every key set, or one issuer's, looked for at once; what the listener answered."""
        response = self.admin("/keys/refresh" + (f"?issuer={name}" if name else ""), "POST")
        assert response.status == 202, str(response)
        return response.json()["sets"]

    def looks_again(self, name="main"):
        """A manual look that is begun and over; the status after it."""
        poll(lambda: self.look(name)[0]["outcome"] == "started", 5, "a manual look")
        return self.until(lambda status: "nextFetchAt" in status, "its end", name=name)

    def answer(self, token, target="/token/x", **more):
        return self.gateway.get(target, token, **more).status

    def at_once(self, tokens, target="/token/x"):
        """The statuses of requests that are sent at the same time, each on its own connection."""
        return concurrently([lambda token=token: self.answer(token, target) for token in tokens])

    def written(self):
        """Everything the process wrote so far, its access log and its own words."""
        own = self.folder / f"{self.gateway.name}.output"
        return own.read_text(errors="replace") + self.log.text()


@pytest.fixture
def issuers():
    """Makes issuers that end with the test."""
    made = []

    def make(*keys, **more):
        made.append(Issuer(*keys, **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def keyed(launch, upstream):
    """`keyed(main=issuer)`: a gateway with that issuer, after its keys came. Values are issuers or
    blocks of a configuration; `wait=False` does not wait for keys."""

    def start(*routes, wait=True, options=None, **named):
        blocks = {name: each.block() if isinstance(each, Issuer) else each
                  for name, each in named.items()}
        more = {"workers": 2, "admin": {"address": f"127.0.0.1:{free_port()}"}, **(options or {})}
        config = small(upstream.endpoint, *routes, issuers=blocks, **more)
        gateway = Keyed(launch(config), upstream)
        return gateway.until_keys(*blocks) if wait else gateway

    return start


@contextmanager
def shared_keyed(folder, issuer, **keys):
    """A gateway for a whole module, with that one issuer; `keys`: members of its `keys`."""
    upstream = Upstream()
    config = small(upstream.endpoint, issuers={"main": issuer.block(keys=keys)},
                   admin={"address": f"127.0.0.1:{free_port()}"})
    gateway = Keyed(Gateway(folder, config), upstream)
    yield gateway.until_keys()
    assert gateway.stop() == 0, gateway.output
    issuer.stop()
    upstream.close()


def run(*arguments, seconds=30):
    """The command line; the completed process."""
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=seconds, stdin=subprocess.DEVNULL)


def check(folder, config, name="checked"):
    """`bearward check` of a configuration; the completed process."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    return run("check", "--config", path)
