"""Gateways before h2c upstreams under a test's control."""

import threading

import pytest

from .client import Closed
from .gateway import Gateway, Proxy
from .http2_server import Http2Upstream
from .standard import small, write_keys

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
    """Two fixtures, as those of `modules.shared_proxy`."""

    @pytest.fixture(scope="module", name=f"{name}_running")
    def running(tmp_path_factory):
        folder = tmp_path_factory.mktemp(name)
        write_keys(folder)
        server = Http2Upstream()
        gateway = Gateway(folder, small(
            server.endpoint,
            {"path": "/identity/**", "claimHeaders": {"X-Sub": "sub"}},
            {"path": "/endpoint/**", "access": "public", "upstreamHost": "endpoint"},
            upstream={"timeouts": TIMEOUTS}))
        yield Proxy(gateway, server)
        assert gateway.stop() == 0, gateway.output
        server.close()

    @pytest.fixture
    def proxy(request):
        shared = request.getfixturevalue(f"{name}_running")
        shared.gateway.ensure()
        shared.upstream.reset()
        yield shared
        shared.upstream.reset()
        shared.gateway.assert_serves()
        found = list(shared.upstream.violations)
        shared.upstream.violations.clear()
        assert not found, found

    return running, proxy


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
