"""Certificates that change under load: taken up within seconds, and no request fails."""

import os
import ssl
import threading
import time

import pytest
from cryptography.x509 import ocsp
from harness.certificates import Authority, replace
from harness.client import Closed, request_bytes
from harness.gateway import Gateway, poll
from harness.secure import HEADERS, Secure, s_client
from harness.standard import small, write_keys
from harness.tls import client_context, server_context
from harness.upstream import Close, Upstream, answer

# The files are looked at each second; the rest is for a machine with much to do.
SOON = 10
# Seconds for a change that nothing shows: files are looked at each second, twice where they are bad.
UNSEEN = 4
FAILED = (ssl.SSLError, Closed, OSError)


class Load:
    """Clients that keep their connection and clients that come anew, until told to stop."""

    def __init__(self, secure, *, context=None, target="/public/x", kept=4, new=2):
        self.secure, self.target = secure, target
        self.context = context or secure.site.context()
        self.stopped = threading.Event()
        self.failures, self.counts = [], {"kept": 0, "new": 0}
        self.threads = [threading.Thread(target=self._run, args=(kind,), daemon=True)
                        for kind, count in (("kept", kept), ("new", new)) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.grow()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.grow()
        self.stopped.set()
        for thread in self.threads:
            thread.join(10)
        if kind is None:
            assert self.failures == []

    def grow(self, by=30):
        """Waits for some more requests of both kinds."""
        goal = {kind: count + by for kind, count in self.counts.items()}
        poll(lambda: self.failures or all(self.counts[kind] >= goal[kind] for kind in goal), 20,
             "the load's progress")

    def _run(self, kind):
        try:
            while not self.stopped.is_set():
                with self.secure.open(tls=self.context) as connection:
                    self._use(kind, connection)
        except BaseException as error:
            self.failures.append((kind, repr(error)))

    def _use(self, kind, connection):
        while not self.stopped.is_set():
            connection.send(request_bytes(target=self.target))
            response = connection.response()
            assert response.status == 200, str(response)
            self.counts[kind] += 1
            if kind == "new":
                return


@pytest.fixture
def begin(tmp_path):
    """Starts a gateway with the test's listeners; it must end in order."""
    started = []

    def start(make=None, **more):
        make = make or (lambda site: {"main": {"tls": site.tls("api")}})
        started.append(Secure(tmp_path, make=make, **more))
        return started[-1]

    yield start
    for secure in started:
        secure.close()


def shown(secure, name="main", **more):
    """The certificate that a new connection is shown."""
    with secure.open(name, tls=client_context(**more)) as connection:
        return connection.tls.getpeercert(True)


def until_shown(secure, leaf, name="main", **more):
    poll(lambda: shown(secure, name, **more) == leaf.der, SOON, "the new certificate")


def put(secure, name, leaf, order):
    """Replaces a pair in one of the ways that tools have."""
    certificate, key = secure.site.folder / f"{name}.pem", secure.site.folder / f"{name}.key"
    if order == "key first":
        replace(key, leaf.key_pem())
        replace(certificate, leaf.pem)
    elif order == "certificate first":
        replace(certificate, leaf.pem)
        replace(key, leaf.key_pem())
    elif order == "long gap":
        replace(key, leaf.key_pem())
        # Long enough for a look at a pair that does not match.
        time.sleep(1.5)
        replace(certificate, leaf.pem)
    else:
        key.write_bytes(leaf.key_pem())
        certificate.write_bytes(leaf.pem)


@pytest.mark.parametrize("order", ["key first", "certificate first", "long gap", "in place"])
def test_replaced_certificate_is_taken_up_without_a_failed_request(begin, order):
    secure = begin()
    new = secure.site.authority.issue("api.test", "127.0.0.1")
    with Load(secure) as load:
        put(secure, "api", new, order)
        until_shown(secure, new)
        load.grow()
        assert shown(secure) == new.der


def test_replaced_many_times(begin):
    secure = begin()
    with Load(secure):
        for turn in range(3):
            new = secure.site.authority.issue("api.test", "127.0.0.1",
                                              kind=["p256", "rsa2048", "p384"][turn])
            put(secure, "api", new, "certificate first")
            until_shown(secure, new)


def test_renewal_under_the_same_key(begin):
    secure = begin()
    old = secure.site.leaves["api"]
    new = secure.site.authority.issue("api.test", "127.0.0.1", key=old.key)
    with Load(secure):
        replace(secure.site.folder / "api.pem", new.pem)
        until_shown(secure, new)


def test_only_what_changed_changes(begin):
    secure = begin(lambda site: {"main": {"tls": site.tls("api", "api-rsa", "exact")}})
    new = secure.site.authority.issue("api.test", "127.0.0.1", kind="rsa2048")
    rsa = {"versions": ["1.2"], "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    ecdsa = {"versions": ["1.2"], "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    with Load(secure):
        put(secure, "api-rsa", new, "key first")
        until_shown(secure, new, **rsa)
        assert shown(secure, **ecdsa) == secure.site.leaves["api"].der
    with secure.open(tls=client_context(), server_name="exact.sni.test") as connection:
        assert connection.tls.getpeercert(True) == secure.site.leaves["exact"].der


def test_folder_swapped_by_a_symbolic_link(tmp_path, begin):
    """As Kubernetes replaces a mounted secret: one rename changes both files."""
    def make(site):
        first = tmp_path / "first"
        first.mkdir()
        site.leaves["api"].write(first, "tls")
        os.symlink("first", tmp_path / "data")
        return {"main": {"tls": {"certificates": [
            {"certificate": "data/tls.pem", "privateKey": "data/tls.key"}]}}}

    secure = begin(make)
    new = secure.site.authority.issue("api.test", "127.0.0.1")
    with Load(secure):
        (tmp_path / "second").mkdir()
        new.write(tmp_path / "second", "tls")
        os.symlink("second", tmp_path / "data.new")
        (tmp_path / "data.new").rename(tmp_path / "data")
        until_shown(secure, new)


def test_sessions_of_before_are_served(begin):
    secure = begin()
    context = client_context(versions=["1.2"])
    with secure.open(tls=context) as connection:
        session = connection.tls.session
    new = secure.site.authority.issue("api.test", "127.0.0.1")
    put(secure, "api", new, "key first")
    until_shown(secure, new)
    with secure.open(tls=context, session=session) as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200


BROKEN = {
    "empty": lambda site, leaf: (b"", leaf.key_pem()),
    "garbage": lambda site, leaf: (b"garbage\n" * 100, leaf.key_pem()),
    "cut": lambda site, leaf: (leaf.pem[:len(leaf.pem) // 2], leaf.key_pem()),
    "another key": lambda site, leaf: (leaf.pem, site.leaves["exact"].key_pem()),
    "encrypted key": lambda site, leaf: (leaf.pem, leaf.key_pem(b"secret")),
    "certificate for key": lambda site, leaf: (leaf.pem, leaf.pem),
    "key for certificate": lambda site, leaf: (leaf.key_pem(), leaf.key_pem()),
    "gone": lambda site, leaf: (None, None),
    "folder": lambda site, leaf: ("folder", leaf.key_pem()),
    "weak": lambda site, leaf: weak_pair(site),
}


def weak_pair(site):
    leaf = site.authority.issue("api.test", kind="rsa1024")
    return leaf.pem, leaf.key_pem()


def test_broken_files_keep_the_old_and_a_mended_pair_is_taken_up(begin):
    """One listener for each way to break; they share the wait."""
    def make(site):
        table = {"main": {"tls": site.tls("api")}}
        for case in BROKEN:
            name = case.replace(" ", "-")
            old = site.leaves[name] = site.authority.issue("api.test", "127.0.0.1")
            table[case] = {"tls": {"certificates": [old.files(site.folder, name)]}}
        return table

    secure = begin(make)
    site = secure.site
    new = {case: site.authority.issue("api.test", "127.0.0.1") for case in BROKEN}
    with Load(secure):
        for case, broken in BROKEN.items():
            pair = broken(site, new[case])
            for end, data in zip((".pem", ".key"), pair):
                put_broken(site.folder / (case.replace(" ", "-") + end), data)
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            for case in BROKEN:
                assert shown(secure, case) == site.leaves[case.replace(" ", "-")].der, case
        for case in BROKEN:
            path = site.folder / (case.replace(" ", "-") + ".pem")
            if path.is_dir():
                path.rmdir()
            put(secure, case.replace(" ", "-"), new[case], "key first")
        for case in BROKEN:
            until_shown(secure, new[case], case)
    assert "PRIVATE" not in secure.gateway.output


def put_broken(path, data):
    if data is None:
        path.unlink()
    elif data == "folder":
        path.unlink()
        path.mkdir()
    else:
        replace(path, data)


def test_replaced_staple_is_taken_up(begin):
    secure = begin()
    site = secure.site
    address = secure.address("main")
    assert "Cert Status: good" in s_client(address, "-status")
    revoked = site.authority.staple(site.leaves["api"], ocsp.OCSPCertStatus.REVOKED)
    with Load(secure):
        replace(site.folder / "api.ocsp", revoked)
        poll(lambda: "Cert Status: revoked" in s_client(address, "-status"), SOON, "the staple")


# Client authorities.
def required(site):
    return {"main": {"tls": site.tls(clientCA="client-ca.pem", clientCertificate="required",
                                     clientCertificateHeaders=HEADERS)}}


def taken(secure, context, session=None):
    """Whether a client is served."""
    try:
        with secure.open(tls=context, session=session) as connection:
            connection.send(request_bytes(target="/public/x"))
            return connection.response().status == 200
    except FAILED:
        return False


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_replaced_client_authority_decides_about_new_connections(begin, tmp_path, versions):
    secure = begin(required)
    _, old_files = secure.site.client("old")
    successor = Authority("Client Root, second of its name")
    new_leaf = successor.issue(cn="new", usages=("client",))
    old = secure.site.context(certificate=old_files, versions=versions)
    new = secure.site.context(certificate=new_leaf.write(tmp_path, "new"), versions=versions)
    assert taken(secure, old) and not taken(secure, new)
    with secure.open(tls=old) as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200
        session = connection.tls.session
        both = secure.site.clients.pem + successor.pem
        replace(tmp_path / "client-ca.pem", both)
        poll(lambda: taken(secure, new), SOON, "the new authority")
        assert taken(secure, old)
        replace(tmp_path / "client-ca.pem", successor.pem)
        poll(lambda: not taken(secure, old), SOON, "the old authority's end")
        assert not taken(secure, old, session), "a ticket outlived its authority"
        assert taken(secure, new)
        # What is established was checked when it began.
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200


# Upstreams.
def upstream_leaf(authority):
    return authority.issue("127.0.0.1")


@pytest.fixture
def behind(tmp_path):
    """An authority, and a TLS upstream of it that closes after each answer, so that every request
    needs a handshake."""
    authority = Authority("Upstream Root")
    authority.trust(tmp_path, "up-ca")
    server = Upstream(tls=server_context(upstream_leaf(authority), tmp_path))
    server.script = lambda request, peer: Close(answer(fields=[("Connection", "close")]))
    yield authority, server
    server.close()


def with_upstream_tls(tmp_path, server, **tls):
    """A gateway before the TLS upstream, itself in clear text."""
    write_keys(tmp_path)
    return Gateway(tmp_path, small(server.endpoint, upstream={
        "tls": {"ca": "up-ca.pem", **tls}}))


class ClearLoad(Load):
    """The same for a gateway without TLS."""

    def __init__(self, gateway, **more):
        class Shim:
            open = staticmethod(lambda tls=None, **_: gateway.connect(tls=None))
        super().__init__(Shim, context=object(), **more)


def test_replaced_upstream_authority_without_a_failed_request(behind, tmp_path):
    """As an operator moves to a new authority: both are trusted for a while."""
    authority, server = behind
    gateway = with_upstream_tls(tmp_path, server)
    successor = Authority("Upstream Root, the second")
    with ClearLoad(gateway) as load:
        replace(tmp_path / "up-ca.pem", authority.pem + successor.pem)
        # Taken up unseen; its time is what is promised.
        time.sleep(UNSEEN)
        server.tls = server_context(upstream_leaf(successor), tmp_path)
        load.grow()
        replace(tmp_path / "up-ca.pem", successor.pem)
        time.sleep(UNSEEN)
        load.grow()
    server.tls = server_context(upstream_leaf(authority), tmp_path)
    response, line = gateway.logged("GET", "/public/x")
    assert response.status == 502 and line["reason"] == "upstream_tls"
    assert gateway.stop() == 0


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_authority_that_is_gone_is_trusted_no_more(behind, tmp_path, versions):
    """Not by a session of before either."""
    authority, server = behind
    leaf = upstream_leaf(authority)
    server.tls = server_context(leaf, tmp_path, versions=versions)
    gateway = with_upstream_tls(tmp_path, server)
    for _ in range(3):
        assert gateway.get("/public/x").status == 200
    replace(tmp_path / "up-ca.pem", Authority("Stranger").pem)
    poll(lambda: gateway.get("/public/x").status == 502, SOON, "the refusal")
    for _ in range(3):
        assert gateway.get("/public/x").status == 502
    assert gateway.stop() == 0


def test_replaced_client_certificate_is_shown_to_the_upstream(behind, tmp_path):
    authority, server = behind
    clients = Authority("Gateway Clients")
    old, new = (clients.issue(cn=cn, usages=("client",)) for cn in ("old", "new"))
    server.tls = server_context(upstream_leaf(authority), tmp_path, client_authority=clients)
    gateway = with_upstream_tls(tmp_path, server, **old.files(tmp_path, "gateway"))

    def seen():
        assert gateway.get("/public/x").status == 200
        return server.handshakes[-1].certificate

    assert seen() == old.der
    with ClearLoad(gateway):
        replace(tmp_path / "gateway.key", new.key_pem())
        replace(tmp_path / "gateway.pem", new.pem)
        poll(lambda: seen() == new.der, SOON, "the new certificate")
    assert gateway.stop() == 0


@pytest.mark.parametrize("data", [b"", b"garbage", None], ids=str)
def test_broken_upstream_authority_keeps_the_old(behind, tmp_path, data):
    authority, server = behind
    gateway = with_upstream_tls(tmp_path, server)
    with ClearLoad(gateway):
        put_broken(tmp_path / "up-ca.pem", data)
        time.sleep(2.2)
    assert gateway.stop() == 0
