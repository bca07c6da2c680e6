"""Gateways before h2c upstreams under a test's control."""

import threading

import pytest

from .client import Closed
from .gateway import Proxy
from .http2_server import Http2Upstream
from .modules import shared_proxy
from .standard import small

TIMEOUTS = {"connect": "1s", "response": "2s", "stream": "1s"}


@pytest.fixture
def start(launch):
    """`start(settings=…, upstream=…)`: a gateway before an h2c upstream of the test's own. Each
    upstream asserts at its end that the gateway never broke the protocol."""
    made = []

    def make(*routes, settings=None, silent=False, upstream=None, **more):
        server = Http2Upstream(settings, silent=silent)
        made.append(server)
        merged = {"timeouts": TIMEOUTS, **(upstream or {})}
        return Proxy(launch(small(server.endpoint, *routes, upstream=merged, **more)), server)

    yield make
    for server in made:
        server.close()


def shared_h2c(name):
    """The two fixtures of `modules.shared_proxy` before an h2c upstream."""

    def make(endpoint):
        return small(
            endpoint,
            {"path": "/identity/**", "claimHeaders": {"X-Sub": "sub"}},
            {"path": "/endpoint/**", "access": "public", "upstreamHost": "endpoint"},
            upstream={"timeouts": TIMEOUTS})

    def assert_kept_to_the_protocol(upstream):
        found = list(upstream.violations)
        upstream.violations.clear()
        assert not found, found

    return shared_proxy(make, name, Http2Upstream, assert_kept_to_the_protocol)


def concurrently(actions):
    """Runs them at once and returns their results in order."""
    results = [None] * len(actions)

    def run(number):
        try:
            results[number] = actions[number]()
        except (AssertionError, OSError, Closed) as fault:
            results[number] = fault

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
