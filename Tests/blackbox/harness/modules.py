"""A proxy that a whole test module shares, made by `proxy = shared_proxy(make)`."""

import pytest

from . import standard
from .gateway import Gateway, Proxy
from .upstream import Upstream


def shared_proxy(make):
    """Two fixtures: the long-lived one, and the one for each test, which must leave it serving.
    `make(endpoint)` returns the configuration."""

    @pytest.fixture(scope="module")
    def running(tmp_path_factory):
        folder = tmp_path_factory.mktemp("module")
        standard.write_keys(folder)
        upstream = Upstream()
        gateway = Gateway(folder, make(upstream.endpoint))
        yield Proxy(gateway, upstream)
        assert gateway.stop() == 0, gateway.output
        upstream.close()

    @pytest.fixture
    def proxy(running):
        running.gateway.ensure()
        running.upstream.reset()
        yield running
        running.upstream.reset()
        running.gateway.assert_serves()

    return running, proxy
