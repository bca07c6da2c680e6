"""A proxy that a whole test module shares."""

import pytest

from . import standard
from .gateway import Gateway, Proxy
from .upstream import Upstream


def shared_proxy(make, name, upstream_of=Upstream, check=None):
    """Two fixtures, to be bound to `<name>_running` and to any name that tests use: the proxy that
    lives as long as the module, and its view for one test, which must leave it serving.
    `make(endpoint)` returns the configuration, `upstream_of()` what stands behind; `check(upstream)`
    looks at that after each test."""

    @pytest.fixture(scope="module", name=f"{name}_running")
    def running(tmp_path_factory):
        folder = tmp_path_factory.mktemp(name)
        standard.write_keys(folder)
        upstream = upstream_of()
        gateway = Gateway(folder, make(upstream.endpoint))
        yield Proxy(gateway, upstream)
        assert gateway.stop() == 0, gateway.output
        upstream.close()

    @pytest.fixture
    def proxy(request):
        shared = request.getfixturevalue(f"{name}_running")
        shared.gateway.ensure()
        shared.upstream.reset()
        yield shared
        shared.upstream.reset()
        shared.gateway.assert_serves()
        if check:
            check(shared.upstream)

    return running, proxy
