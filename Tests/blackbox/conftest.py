"""Fixtures: one long-lived standard proxy for most tests, fresh ones where a test needs its own."""

import pytest

from harness import standard as configurations
from harness.gateway import BINARY, Gateway, Proxy, free_port
from harness.upstream import Upstream

pytest_plugins = ["harness.keyed"]


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} does not exist; build it or name one in BEARWARD", 4)


@pytest.fixture(scope="session")
def standard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standard")
    configurations.write_keys(folder)
    upstream = Upstream()
    config = configurations.standard(upstream.endpoint, f"http://127.0.0.1:{free_port()}")
    gateway = Gateway(folder, config)
    yield Proxy(gateway, upstream)
    assert gateway.stop() == 0, gateway.output
    assert "Fatal error" not in gateway.output
    upstream.close()


@pytest.fixture
def proxy(standard):
    """The standard proxy; after each test it must still serve."""
    standard.gateway.ensure()
    standard.upstream.reset()
    yield standard
    standard.upstream.reset()
    standard.gateway.assert_serves()


@pytest.fixture
def folder(tmp_path):
    """A configuration's folder with the key files in it."""
    configurations.write_keys(tmp_path)
    return tmp_path


@pytest.fixture
def launch(folder):
    """Starts proxies that end with the test; each must end cleanly."""
    started = []

    def start(config, **options):
        gateway = Gateway(folder, config, name=f"gateway{len(started)}", **options)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        if gateway.running:
            assert gateway.stop() == 0, gateway.output


@pytest.fixture
def upstream():
    """An upstream of the test's own."""
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def own(launch, upstream):
    """A proxy of the test's own: `own(limits={...})` starts the small configuration."""

    def start(*routes, **more):
        return Proxy(launch(configurations.small(upstream.endpoint, *routes, **more)), upstream)

    return start
