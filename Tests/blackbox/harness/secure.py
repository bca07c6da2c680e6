"""A gateway with TLS listeners of every kind, and the certificates that belong to it."""

import subprocess

import pytest

from .certificates import Authority
from .client import Connection, request_bytes
from .gateway import Gateway, Proxy, free_port, reachable
from .standard import small, write_keys
from .tls import client_context
from .upstream import Upstream

HEADERS = {"subject": "X-Client-Subject", "thumbprint": "X-Client-Thumbprint"}


class Site:
    """Who vouches for whom: one authority for servers, another for clients."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority("Server Root")
        self.clients = Authority("Client Root")
        self.authority.trust(folder, "server-ca")
        self.clients.trust(folder, "client-ca")
        self.leaves = {
            "api": self.authority.issue("api.test", "127.0.0.1"),
            "api-rsa": self.authority.issue("api.test", "127.0.0.1", kind="rsa2048"),
            "exact": self.authority.issue("exact.sni.test", "second.sni.test"),
            "wild": self.authority.issue("*.wild.test"),
            "inside": self.authority.issue("exact.wild.test"),
        }
        self.certificates = {name: leaf.files(folder, name) for name, leaf in self.leaves.items()}
        (folder / "api.ocsp").write_bytes(self.authority.staple(self.leaves["api"]))
        self.certificates["api"]["ocsp"] = "api.ocsp"

    def client(self, cn="alice", name=None, **more):
        """A client's certificate as a context takes it, and the leaf itself."""
        leaf = self.clients.issue(cn=cn, usages=more.pop("usages", ("client",)), **more)
        return leaf, leaf.write(self.folder, name or f"client-{leaf.serial:x}")

    def context(self, **more):
        return client_context(self.authority, **more)

    def tls(self, *names, **more):
        return {"certificates": [self.certificates[name] for name in names or ("api",)], **more}


def listeners(site):
    """By name; every test module may use each of them."""
    client = {"clientCA": "client-ca.pem", "clientCertificateHeaders": HEADERS}
    return {
        "main": {"tls": site.tls("api", "api-rsa", "exact", "wild", "inside")},
        "clear": {},
        "http1": {"tls": site.tls(), "protocols": ["http/1.1"]},
        "http1-first": {"tls": site.tls(), "protocols": ["http/1.1", "h2"]},
        "h2": {"tls": site.tls(), "protocols": ["h2"]},
        "modern": {"tls": site.tls(minimumVersion="1.3")},
        "optional": {"tls": site.tls(clientCertificate="optional", **client)},
        "required": {"tls": site.tls(clientCertificate="required", **client)},
        "other-ca": {"tls": site.tls(clientCertificate="required", clientCA="server-ca.pem")},
        "unix": {"tls": site.tls(), "address": "unix:tls.sock"},
    }


class Secure(Proxy):
    """The proxy of one module, listener by listener."""

    def __init__(self, folder, *, make=listeners, upstream=None, **more):
        self.site = Site(folder)
        write_keys(folder)
        table = make(self.site)
        self.names = list(table)
        listed = [{"address": f"127.0.0.1:{free_port()}", **each} for each in table.values()]
        upstream = upstream or Upstream()
        config = small(upstream.endpoint, {"path": "/orders/**", "scopes": ["orders:read"]},
                       listeners=listed, **{"workers": 2, **more})
        super().__init__(Gateway(folder, config, tls=self.site.context()), upstream)

    def address(self, name):
        listener = self.gateway.config["listeners"][self.names.index(name)]
        return reachable(listener["address"], self.gateway.folder)

    def open(self, name="main", **more):
        """A connection to one listener; `tls=None` for a clear one."""
        if name != "clear":
            more = {"tls": self.site.context(), **more}
        return Connection(self.address(name), **more)

    def ask(self, name="main", target="/public/x", *, tls=None, **more):
        """One request on its own connection."""
        options = {} if tls is None else {"tls": tls}
        with self.open(name, **options) as connection:
            connection.send(request_bytes(target=target, **more))
            return connection.response()

    def port(self, name="main"):
        return self.address(name)[1]

    def close(self):
        assert self.gateway.stop() == 0, self.gateway.output
        assert "Fatal error" not in self.gateway.output
        self.upstream.close()


def shared_secure(name, **options):
    """Two fixtures, as `modules.shared_proxy` makes them: the proxy of a module, and a test's view
    of it, which must leave it serving."""

    @pytest.fixture(scope="module", name=f"{name}_running")
    def running(tmp_path_factory):
        made = Secure(tmp_path_factory.mktemp(name), **options)
        yield made
        made.close()

    @pytest.fixture
    def proxy(request):
        shared = request.getfixturevalue(f"{name}_running")
        shared.gateway.ensure()
        shared.upstream.reset()
        yield shared
        shared.upstream.reset()
        shared.gateway.assert_serves()

    return running, proxy


def s_client(address, *options, send="", seconds=10):
    """OpenSSL's own client; what it printed."""
    command = ["openssl", "s_client", "-connect", f"{address[0]}:{address[1]}",
               *map(str, options)]
    done = subprocess.run(command, input=send.encode(), capture_output=True, timeout=seconds)
    return (done.stdout + done.stderr).decode("latin-1")


def curl(*arguments, seconds=60):
    """Runs curl; the completed process, with bytes."""
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(seconds),
                           *map(str, arguments)], capture_output=True, timeout=seconds + 5)
