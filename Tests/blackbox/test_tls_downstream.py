"""TLS towards clients: versions, suites, names, certificates, resumption, staples, handshakes."""

import contextlib
import socket
import ssl
import struct
import subprocess
import time
import urllib.parse

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from harness.certificates import DAY, Authority, now, self_signed
from harness.client import Closed, Connection, request_bytes
from harness.secure import HEADERS, Secure, s_client, shared_secure
from harness.tls import TLSSocket, client_context, records, server_context
from harness.tokens import mint
from harness.upstream import Upstream
from harness.wire import connect

secure_running, secure = shared_secure("secure")
H2, H1 = "h2", "http/1.1"
FAILED = (ssl.SSLError, Closed, ConnectionError)


def negotiated(secure, listener="main", **more):
    """The state of a connection after its handshake."""
    with secure.open(listener, tls=secure.site.context(**more)) as connection:
        return connection.sock.state()


# Versions and suites.
@pytest.mark.parametrize("listener, versions, expected", [
    ("main", ["1.2"], "TLSv1.2"), ("main", ["1.3"], "TLSv1.3"), ("main", ["1.2", "1.3"], "TLSv1.3"),
    ("main", ["1.0", "1.3"], "TLSv1.3"), ("main", ["1.0", "1.2"], "TLSv1.2"),
    ("modern", ["1.3"], "TLSv1.3"), ("modern", ["1.2", "1.3"], "TLSv1.3"),
], ids=str)
def test_best_common_version_is_spoken(secure, listener, versions, expected):
    assert negotiated(secure, listener, versions=versions).version == expected


@pytest.mark.parametrize("listener, versions", [
    ("main", ["1.0"]), ("main", ["1.1"]), ("main", ["1.0", "1.1"]),
    ("modern", ["1.2"]), ("modern", ["1.1", "1.2"])], ids=str)
def test_version_below_the_minimum_is_refused_with_its_alert(secure, listener, versions):
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL"):
        negotiated(secure, listener, versions=versions)


GOOD = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]


def suites_up_to_tls_1_2():
    listed = subprocess.run(
        ["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=True).stdout.strip().split(":")
    # What is named for pre-shared keys and SRP needs more than a suite to be offered at all.
    return [name for name in listed if not name.startswith(("TLS_", "PSK", "SRP", "RSA-PSK"))
            and "PSK" not in name]


@pytest.mark.parametrize("suite", GOOD)
def test_suite_with_forward_secrecy_and_aead_is_spoken(secure, suite):
    assert negotiated(secure, versions=["1.2"], ciphers=suite).cipher == suite


def test_no_other_suite_is_spoken(secure):
    others = [suite for suite in suites_up_to_tls_1_2() if suite not in GOOD]
    assert len(others) > 40
    for suite in others:
        try:
            taken = negotiated(secure, versions=["1.2"], ciphers=f"{suite}:@SECLEVEL=0").cipher
        except FAILED:
            continue
        raise AssertionError(f"spoke {taken}")


def test_nothing_is_compressed(secure):
    with secure.open(tls=secure.site.context(versions=["1.2"])) as connection:
        assert connection.tls.compression() is None


@pytest.mark.parametrize("group, taken", [
    ("X25519", True), ("P-256", True), ("P-384", True), ("ffdhe2048", False)])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_groups(secure, group, taken, version):
    if version == "-tls1_2" and not taken:
        pytest.skip("TLS 1.2 with a finite field is another suite, which is in that table")
    out = s_client(secure.address("main"), version, "-groups", group)
    assert ("Verification" in out and "Cipher is (NONE)" not in out) == taken, out[-2000:]


@pytest.mark.parametrize("groups", ["X448:P-256", "P-521:X25519", "P-384:X25519"])
def test_group_of_the_second_try(secure, groups):
    """A HelloRetryRequest (RFC 8446 §4.1.4), where the client guessed a group that is not ours."""
    out = s_client(secure.address("main"), "-tls1_3", "-groups", groups)
    assert "Cipher is (NONE)" not in out and "New, TLSv1.3" in out, out[-2000:]


def test_early_data_is_not_offered(secure, tmp_path):
    """It could be replayed, so no ticket allows it."""
    session, request = tmp_path / "session", tmp_path / "request"
    request.write_bytes(request_bytes(target="/public/early"))
    asked = request_bytes(target="/public/x", fields={"Connection": "close"}).decode()
    out = s_client(secure.address("main"), "-tls1_3", "-ign_eof", "-sess_out", session, send=asked)
    assert "Max Early Data: 0" in out, out[-2000:]
    out = s_client(secure.address("main"), "-tls1_3", "-sess_in", session, "-early_data", request)
    assert "Early data was accepted" not in out
    secure.nothing_forwarded(1)


def test_client_without_tickets_is_served(secure):
    for _ in range(2):
        out = s_client(secure.address("main"), "-tls1_2", "-no_ticket")
        assert "New, TLSv1.2" in out and "Reused" not in out, out[-2000:]


# ALPN.
@pytest.mark.parametrize("listener, offered, expected", [
    ("main", [H1], H1), ("main", [H1, "x"], H1), ("main", ["x", H1], H1), ("main", [], None),
    ("main", [H2], H2), ("main", [H2, H1], H2), ("main", [H1, H2], H2),
    ("http1", [H1], H1), ("http1", [H2, H1], H1), ("http1", [], None),
    ("http1-first", [H2, H1], H1), ("http1-first", [H2], H2), ("http1-first", [H1], H1),
    ("h2", [H2], H2), ("h2", [H1, H2], H2), ("modern", [H2, H1], H2),
], ids=str)
@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_alpn_takes_the_listeners_first_that_the_client_knows(
        secure, listener, offered, expected, versions):
    if listener == "modern" and versions == ["1.2"]:
        pytest.skip("this listener begins at 1.3")
    assert negotiated(secure, listener, protocols=offered, versions=versions).protocol == expected


@pytest.mark.parametrize("listener, offered", [
    ("main", ["x"]), ("main", ["spdy/3", "http/1.0"]), ("main", ["HTTP/1.1"]), ("main", ["H2"]),
    ("main", ["h2c"]), ("http1", [H2]), ("http1", ["x", H2]), ("h2", [H1])], ids=str)
@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_alpn_without_a_common_protocol_is_its_own_alert(secure, listener, offered, versions):
    """RFC 7301 §3.2: no_application_protocol, rather than a protocol the client did not name."""
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        negotiated(secure, listener, protocols=offered, versions=versions)


def test_client_without_alpn_speaks_http_1_1(secure):
    assert secure.ask().status == 200


# Certificates by name and by key.
SNI = [
    ("api.test", "api"), ("API.Test", "api"), ("exact.sni.test", "exact"),
    ("second.sni.test", "exact"), ("EXACT.SNI.TEST", "exact"), ("a.wild.test", "wild"),
    ("A-b.Wild.TEST", "wild"), ("exact.wild.test", "inside"), ("a.b.wild.test", "api"),
    ("wild.test", "api"), ("sni.test", "api"), ("x.exact.sni.test", "api"), ("unknown", "api"),
    ("xn--bcher-kva.wild.test", "wild"), ("a.wild.test.evil.test", "api"), ("127.0.0.1", "api"),
    (None, "api"),
]


@pytest.mark.parametrize("name, expected", SNI)
@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_certificate_is_chosen_by_name(secure, name, expected, versions):
    context = client_context(versions=versions)
    with secure.open(tls=context, server_name=name) as connection:
        shown = connection.tls.getpeercert(True)
        # Of two that serve one name, either is right for a client that can check both.
        fitting = ["api", "api-rsa"] if expected == "api" else [expected]
        assert shown in [secure.site.leaves[each].der for each in fitting]
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200


@pytest.mark.parametrize("suite, expected", [
    ("ECDHE-RSA-AES128-GCM-SHA256", "api-rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "api"),
    ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", "api")])
@pytest.mark.parametrize("name", ["api.test", "unknown.test", None])
def test_tls_1_2_client_gets_the_certificate_its_suites_can_use(secure, suite, expected, name):
    context = client_context(versions=["1.2"], ciphers=suite)
    with secure.open(tls=context, server_name=name) as connection:
        assert connection.tls.getpeercert(True) == secure.site.leaves[expected].der


@pytest.mark.parametrize("algorithms, expected", [
    ("rsa_pss_rsae_sha256", "RSA-PSS"), ("ecdsa_secp256r1_sha256", "ECDSA"),
    ("ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256", "ECDSA")])
def test_tls_1_3_client_gets_the_certificate_its_signatures_can_check(
        secure, algorithms, expected):
    out = s_client(secure.address("main"), "-tls1_3", "-servername", "api.test", "-sigalgs",
                   algorithms)
    assert f"Peer signature type: {expected}" in out, out[-2000:]


def test_intermediates_are_sent(tmp_path):
    root = Authority("Far Root")
    leaf = Authority("Near", parent=Authority("Middle", parent=root)).issue("deep.test")

    def deep(site):
        return {"main": {"tls": {"certificates": [leaf.files(tmp_path, "deep")]}}}

    secure = Secure(tmp_path, make=deep)
    with secure.open(tls=client_context(root), server_name="deep.test") as connection:
        assert connection.tls.getpeercert(True) == leaf.der
    secure.close()


# Staples.
@pytest.mark.parametrize("options, stapled", [
    (["-servername", "api.test", "-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], True),
    (["-tls1_3", "-noservername", "-sigalgs", "ecdsa_secp256r1_sha256"], True),
    (["-servername", "api.test", "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], False),
    (["-servername", "api.test", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
    (["-servername", "api.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], False),
    (["-servername", "exact.sni.test"], False), (["-servername", "a.wild.test"], False)], ids=str)
def test_staple_goes_with_its_own_certificate_only(secure, options, stapled):
    out = s_client(secure.address("main"), "-status", *options)
    assert ("OCSP Response Status: successful" in out) == stapled, out[:2000]
    assert ("OCSP response: no response sent" in out) != stapled, out[:2000]


def test_staple_is_not_sent_to_who_did_not_ask(secure):
    assert "OCSP Response Status" not in s_client(secure.address("main"))


# Resumption.
def resumed_states(secure, listener, context, times, session=None):
    """Whether each connection resumed; the newest session is offered."""
    states = []
    for _ in range(times):
        with secure.open(listener, tls=context, session=session) as connection:
            connection.send(request_bytes(target="/public/x"))
            assert connection.response().status == 200
            states.append(connection.tls.session_reused)
            session = connection.tls.session
    return states


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
@pytest.mark.parametrize("listener", ["main", "http1", "unix"])
def test_session_resumes_on_every_worker(secure, versions, listener):
    """Connections are spread over two workers; each knows every ticket key."""
    context = secure.site.context(versions=versions)
    assert resumed_states(secure, listener, context, 16) == [False] + [True] * 15


def test_resumed_session_keeps_name_and_protocol(secure):
    context = client_context(protocols=[H1], versions=["1.2"])
    with secure.open(tls=context, server_name="exact.sni.test") as connection:
        session = connection.tls.session
    with secure.open(tls=context, server_name="exact.sni.test", session=session) as connection:
        assert connection.tls.session_reused
        assert connection.tls.selected_alpn_protocol() == H1


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
@pytest.mark.parametrize("donor", ["main", "optional", "http1"])
def test_ticket_opens_no_listener_that_wants_a_certificate(secure, versions, donor):
    context = secure.site.context(versions=versions)
    with secure.open(donor, tls=context) as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200
        session = connection.tls.session
    for listener in ("required", "other-ca"):
        with pytest.raises(FAILED):
            with secure.open(listener, tls=context, session=session) as connection:
                connection.send(request_bytes(target="/public/x"))
                connection.response()


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_ticket_carries_no_identity_to_a_listener_with_another_authority(secure, versions):
    _, files = secure.site.client()
    context = secure.site.context(versions=versions, certificate=files)
    with secure.open("required", tls=context) as connection:
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200
        session = connection.tls.session
    with pytest.raises(FAILED):
        with secure.open("other-ca", tls=context, session=session) as connection:
            connection.send(request_bytes(target="/public/x"))
            connection.response()


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
@pytest.mark.parametrize("listener", ["optional", "required"])
def test_resumed_client_is_still_who_it_was(secure, versions, listener):
    leaf, files = secure.site.client("carol")
    context = secure.site.context(versions=versions, certificate=files)
    session, reused = None, []
    for _ in range(6):
        with secure.open(listener, tls=context, session=session) as connection:
            connection.send(request_bytes(target="/public/x"))
            assert connection.response().status == 200
            reused.append(connection.tls.session_reused)
            session = connection.tls.session
    for request in secure.upstream.request(6):
        assert request.get(HEADERS["subject"]) == "CN=carol"
        assert request.get(HEADERS["thumbprint"]) == leaf.thumbprint
    assert reused[0] is False and any(reused[1:]), reused


def test_ticket_of_another_server_is_a_full_handshake(secure, tmp_path):
    context = client_context(versions=["1.2"])
    other = Upstream(tls=server_context(secure.site.leaves["api"], tmp_path))
    with Connection(("127.0.0.1", other.port), tls=context) as connection:
        session = connection.tls.session
    other.close()
    assert session.has_ticket
    with secure.open(tls=context, session=session) as connection:
        assert not connection.tls.session_reused
        connection.send(request_bytes(target="/public/x"))
        assert connection.response().status == 200


# Client certificates.
def sent_headers(secure, listener, context, fields=(), target="/public/x", token=None):
    """What the upstream is told of a client: (subject, thumbprint), decoded."""
    response = secure.ask(listener, target, tls=context, fields=fields, token=token)
    assert response.status == 200, str(response)
    request = secure.upstream.request()
    return tuple(request.get(HEADERS[each]) for each in ("subject", "thumbprint"))


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
@pytest.mark.parametrize("listener", ["optional", "required"])
def test_client_certificate_is_told_to_the_upstream(secure, listener, versions):
    leaf, files = secure.site.client()
    context = secure.site.context(certificate=files, versions=versions)
    assert sent_headers(secure, listener, context) == ("CN=alice", leaf.thumbprint)


def test_no_client_certificate_no_headers(secure):
    assert sent_headers(secure, "optional", secure.site.context()) == (None, None)


def test_listener_that_asks_for_none_gets_none(secure):
    _, files = secure.site.client()
    context = secure.site.context(certificate=files)
    assert sent_headers(secure, "main", context) == (None, None)


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_required_certificate_that_is_missing_fails_the_handshake(secure, versions):
    with pytest.raises(FAILED):
        secure.ask("required", tls=secure.site.context(versions=versions))
    secure.nothing_forwarded()


def expired(site):
    return site.clients.issue(cn="late", usages=("client",), not_before=now() - 3 * DAY,
                              not_after=now() - DAY)


UNTRUSTED = {
    "expired": expired,
    "not yet valid": lambda site: site.clients.issue(
        cn="early", usages=("client",), not_before=now() + DAY, not_after=now() + 3 * DAY),
    "another authority": lambda site: site.authority.issue(cn="server side", usages=("client",)),
    "unknown authority": lambda site: Authority("Stranger").issue(cn="x", usages=("client",)),
    "authority of the same name": lambda site: Authority("Client Root", kind="p384").issue(
        cn="x", usages=("client",)),
    "self-signed": lambda site: self_signed("alice"),
    "server's purpose": lambda site: site.clients.issue(cn="alice", usages=("server",)),
    "other purpose": lambda site: site.clients.issue(cn="alice", usages=("code",)),
    "signed by a leaf": lambda site: below_a_leaf(site),
    "weak key": lambda site: site.clients.issue(cn="weak", usages=("client",), kind="rsa1024"),
}


def below_a_leaf(site):
    """Issued by a certificate that is no authority."""
    forger, _ = site.client("forger")
    child = site.clients.issue(cn="forged", usages=("client",))
    fake = Authority.__new__(Authority)
    fake.certificate, fake.key, fake.below = forger.certificate, forger.key, [forger.certificate]
    return Authority.issue(fake, cn="forged", usages=("client",), key=child.key)


@pytest.mark.parametrize("case", list(UNTRUSTED))
@pytest.mark.parametrize("listener", ["optional", "required"])
def test_untrusted_client_certificate_is_never_taken(secure, listener, case):
    """Also where a certificate is optional: a wrong one is no absent one."""
    leaf = UNTRUSTED[case](secure.site)
    context = secure.site.context()
    if case == "weak key":
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*leaf.write(secure.site.folder, "untrusted"))
    with pytest.raises(FAILED):
        secure.ask(listener, tls=context)
    secure.nothing_forwarded()


def test_client_certificate_through_an_intermediate(secure):
    middle = Authority("Client Middle", parent=secure.site.clients)
    leaf = middle.issue(cn="deep", usages=("client",))
    context = secure.site.context(certificate=leaf.write(secure.site.folder, "deep-client"))
    assert sent_headers(secure, "required", context) == ("CN=deep", leaf.thumbprint)


CN, O, OU, C = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME,
                NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COUNTRY_NAME)
SUBJECTS = [
    [(CN, "alice")], [(C, "DE"), (O, "Example"), (CN, "alice")],
    [(O, "Smith, John"), (CN, "a+b")], [(CN, 'quote"d <x>; y')], [(CN, "#hash")],
    [(CN, " outer ")], [(CN, "back\\slash")], [(CN, "Jürgen Müller")], [(CN, "漢字")],
    [(CN, "100%")], [(CN, "a=b")], [(OU, "one"), (OU, "two"), (CN, "x")],
    [(CN, "evil\r\nX-Evil: 1")], [(CN, "nul\0nul")], [(CN, "tab\there")], [(CN, "x" * 64)],
    [(CN, "alice,CN=root")], [(CN, "alice"), (CN, "root")],
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=ascii)
def test_subject_is_an_rfc_4514_string_in_one_field(secure, subject):
    """Read back by another implementation it is the same name, whatever is in it."""
    leaf = secure.site.clients.issue(cn=subject, usages=("client",))
    context = secure.site.context(certificate=leaf.write(secure.site.folder, "subject"))
    told, thumbprint = sent_headers(secure, "required", context)
    assert "X-Evil" not in secure.upstream.request().fields
    assert thumbprint == leaf.thumbprint
    assert all(" " <= character <= "~" for character in told), ascii(told)
    text = urllib.parse.unquote_to_bytes(told).decode("utf-8")
    parsed = x509.Name.from_rfc4514_string(text)
    expected = [(oid, value) for oid, value in subject]
    assert [(each.oid, each.value) for each in parsed] == expected, told


def test_subject_is_told_plainly_where_it_is_plain(secure):
    leaf = secure.site.clients.issue(cn=[(C, "DE"), (O, "Example"), (CN, "alice smith")],
                                     usages=("client",))
    context = secure.site.context(certificate=leaf.write(secure.site.folder, "plain"))
    told, _ = sent_headers(secure, "required", context)
    assert told == "CN=alice smith,O=Example,C=DE"


SPOOFED = ["X-Client-Subject", "x-client-subject", "X_Client_Subject", "X.CLIENT.SUBJECT",
           "X-Client-Thumbprint", "x_client_thumbprint", "X-CLIENT_Thumbprint"]


@pytest.mark.parametrize("name", SPOOFED)
@pytest.mark.parametrize("listener", ["main", "clear", "http1", "optional", "modern"])
@pytest.mark.parametrize("target", ["/public/x", "/token/x", "/orders/1"])
def test_client_never_says_who_it_is_by_itself(secure, listener, target, name):
    token = None if target.startswith("/public") else mint()
    response = secure.ask(listener, target, fields=[(name, "CN=root")], token=token)
    assert response.status == 200
    request = secure.upstream.request()
    assert "root" not in str(request.raw_head), request.raw_head


def test_spoofed_headers_beside_a_certificate(secure):
    leaf, files = secure.site.client()
    fields = [(name, "CN=root") for name in SPOOFED] + [("Connection", "X-Client-Subject")]
    context = secure.site.context(certificate=files)
    assert sent_headers(secure, "optional", context, fields) == ("CN=alice", leaf.thumbprint)
    assert b"root" not in secure.upstream.request().raw_head


def test_names_of_accepted_authorities_are_told(secure):
    out = s_client(secure.address("optional"), "-tls1_2")
    assert "Acceptable client certificate CA names" in out and "Client Root" in out
    assert "No client certificate CA names sent" in s_client(secure.address("main"), "-tls1_2")


# What is not TLS, and handshakes that do not end.
NO_TLS = [b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          b"\0" * 100, b"\xff" * 5000, b"\x16\x03\x01\xff\xff" + b"x" * 70000,
          b"\x16\x03\x01\0\0" * 50, b"\x15\x03\x03\0\x02\x02\x28", b"\x17\x03\x03\0\x05hello",
          b"\x14\x03\x03\0\x01\x01", b"\x80\x2e\x01\0\x02" + b"\0" * 50,
          b"\x16\x03\x03\0\x04\x02\0\0\0", b"\x16\x03\x01\0\x05\x01\xff\xff\xff\0"]


def end_sending(connection):
    """The peer may have refused and closed already."""
    with contextlib.suppress(OSError):
        connection.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("data", NO_TLS, ids=lambda data: ascii(data[:16]))
def test_what_is_no_tls_gets_no_answer_and_harms_nobody(secure, data):
    with secure.open() as kept:
        with Connection(secure.address("main")) as connection:
            connection.send(data)
            end_sending(connection)
            answer = connection.reader.rest()
        assert b"200" not in answer and b"HTTP/1.1 2" not in answer
        assert all(kind == 21 for kind, _ in records(answer)) or answer.startswith(b"HTTP/1.1 400")
        kept.send(request_bytes(target="/public/kept"))
        assert kept.response().status == 200
    assert [r.target for r in secure.upstream.requests] == ["/public/kept"]


def test_tls_to_a_clear_listener_is_refused(secure):
    """A ClientHello is no request head."""
    with pytest.raises(FAILED):
        Connection(secure.address("clear"), tls=secure.site.context())


def test_every_cut_client_hello_is_survived(secure):
    sample = hello(secure.site.context())
    for length in [1, 4, 5, 6, 9, 10, 40, 43, 44, 100, len(sample) - 1, len(sample)]:
        with Connection(secure.address("main")) as connection:
            connection.send(sample[:length])
            connection.reset() if length % 2 else connection.close()


def test_every_flipped_client_hello_is_survived(secure):
    """No answer but a handshake's or an alert, and the process lives."""
    sample = bytearray(hello(secure.site.context()))
    for at in range(0, len(sample), 3):
        changed = bytes(sample[:at] + bytes([sample[at] ^ 0xff]) + sample[at + 1:])
        with Connection(secure.address("main")) as connection:
            connection.send(changed)
            end_sending(connection)
            assert all(kind in (20, 21, 22, 23) for kind, _ in records(connection.reader.rest()))


def hello(context, name="api.test"):
    client, peer = socket.socketpair()
    with client, peer:
        return TLSSocket(client, context, server_name=name).client_hello()


@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_handshake_byte_by_byte(secure, versions):
    """Every byte of the client's flights in a packet of its own."""
    sock = connect(secure.address("main"), 8)
    tls = TLSSocket(sock, secure.site.context(versions=versions), server_name="api.test")

    def flush():
        for byte in tls.outgoing.read():
            sock.sendall(bytes([byte]))

    tls._flush = flush
    with contextlib.closing(sock):
        tls.handshake()
        tls.sendall(request_bytes(target="/public/x"))
        assert tls.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.parametrize("versions", [["1.2"], ["1.3"]], ids=str)
def test_client_hello_cut_into_records(secure, versions, size):
    """RFC 8446 §5.1: a handshake message may be split over several records."""
    with contextlib.closing(connect(secure.address("main"), 8)) as sock:
        tls = TLSSocket(sock, secure.site.context(versions=versions), server_name="api.test")
        whole = tls.client_hello()
        body = whole[5:]
        sock.sendall(b"".join(whole[:3] + len(part).to_bytes(2, "big") + part for part in (
            body[at:at + size] for at in range(0, len(body), size))))
        tls.handshake()
        tls.sendall(request_bytes(target="/public/x"))
        assert tls.recv(100).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def hurried_running(tmp_path_factory):
    """`head` is half a second: for the handshake, and again from its end for the head."""
    made = Secure(tmp_path_factory.mktemp("hurried"), timeouts={"head": "500ms"}, workers=1)
    yield made
    made.close()


def seconds_until_closed(sock):
    start = time.monotonic()
    sock.settimeout(10)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - start


@pytest.mark.parametrize("length", [0, 1, 5, 60, -1, None], ids=str)
def test_half_handshake_is_closed_by_the_head_deadline(hurried_running, length):
    """`None` is the whole ClientHello whose answer is never taken up."""
    sock = connect(hurried_running.address("main"), 8)
    sock.sendall(hello(hurried_running.site.context())[:length])
    assert 0.3 < seconds_until_closed(sock) < 4
    hurried_running.gateway.assert_serves()


def test_dribbled_handshake_does_not_extend_the_deadline(hurried_running):
    sock = connect(hurried_running.address("main"), 8)
    start = time.monotonic()
    with pytest.raises(ConnectionError), contextlib.closing(sock):
        for byte in hello(hurried_running.site.context()) * 100:
            sock.sendall(bytes([byte]))
            time.sleep(0.02)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("data", [b"", b"GET /public/x HT"], ids=ascii)
def test_head_that_does_not_follow_the_handshake_is_timed(hurried_running, data):
    with hurried_running.open() as connection:
        if data:
            connection.send(data)
        start = time.monotonic()
        rest = connection.reader.rest()
        assert 0.3 < time.monotonic() - start < 4
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408")
        assert not connection.reader.was_truncated


def test_many_handshakes_under_way_do_not_hold_requests_up(secure):
    """Two hundred connections in the middle of theirs; requests of others pass between them."""
    context = secure.site.context()
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(secure.open())
        started, slowest = [], 0
        for number in range(200):
            sock = connect(secure.address("main"), 8)
            stack.callback(sock.close)
            tls = TLSSocket(sock, context, server_name="api.test")
            first = tls.client_hello()
            sock.sendall(first[:200])
            started.append((tls, first[200:]))
            if number % 10 == 0:
                begin = time.monotonic()
                kept.send(request_bytes(target="/public/x"))
                assert kept.response().status == 200
                slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 2
        for tls, rest in started:
            tls.sock.sendall(rest)
        for tls, _ in started:
            tls.handshake()
        tls = started[-1][0]
        tls.sendall(request_bytes(target="/public/x"))
        assert tls.recv(100).startswith(b"HTTP/1.1 200")


def test_renegotiation_is_refused(secure):
    """RFC 5746 keeps it safe, yet it is work that a client may ask for without end."""
    out = typed(secure, ["-tls1_2"], [b"R\n"], b"alert no renegotiation|no renegotiation|closed")
    assert "no renegotiation" in out or "closed" in out, out


def test_key_update_is_answered(secure):
    asked = request_bytes(target="/public/x")
    out = typed(secure, ["-tls1_3"], [b"K\n", b"k\n", asked.replace(b"\r\n", b"\n")], b"\nok")
    assert "HTTP/1.1 200" in out, out


def typed(secure, options, lines, until):
    """What s_client prints when commands are typed one after another."""
    host, port = secure.address("main")
    command = ["openssl", "s_client", "-crlf", "-connect", f"{host}:{port}", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    patterns = until.split(b"|")
    got = b""
    with process:
        while b"Verify return code" not in got:
            got += process.stdout.read1()
        for line in lines:
            process.stdin.write(line)
            process.stdin.flush()
            # The command counts only at the start of what s_client reads at once.
            time.sleep(0.1)
        got = b""
        deadline = time.monotonic() + 5
        while not any(p in got for p in patterns) and time.monotonic() < deadline:
            if not (more := process.stdout.read1()):
                break
            got += more
        process.kill()
    return got.decode("latin-1")


def test_reset_in_the_middle_of_a_handshake_is_survived(secure):
    for length in (10, 300, None):
        sock = connect(secure.address("main"), 8)
        sock.sendall(hello(secure.site.context())[:length])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
