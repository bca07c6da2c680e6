"""HTTP/2 from clients: the same policy, refusals and limits as with HTTP/1.1."""

import threading
import uuid

import pytest
from harness.frames import END_HEADERS, Code, Setting, Type, block, frame, head
from harness.http2 import dial, exchange, refuses
from harness.tokens import mint
from harness.upstream import OK
from test_answers import cases
from test_targets import CONFUSIONS

REALM = 'Bearer realm="black box"'


def converted(raw):
    """A request of HTTP/1.1 as fields and body of HTTP/2."""
    top, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = top.decode("latin-1").split("\r\n")
    method, path, _ = start.split(" ")
    pairs = [line.partition(":")[::2] for line in lines]
    plain = [(name.lower(), value.strip()) for name, value in pairs]
    authority = next(value for name, value in plain if name == "host")
    return head(method, path, authority=authority,
                fields=[pair for pair in plain if pair[0] != "host"]), body


# Policy: the same as with HTTP/1.1.
@pytest.mark.parametrize("case", [case for case in cases() if case not in ("request",)])
def test_refusals_are_those_of_http_1(proxy, case):
    raw, status, reason, challenge = cases()[case]
    fields, body = converted(raw)
    with dial(proxy) as client:
        stream = client.open(fields, end=not body)
        if body:
            client.raw_data(stream, body, end=True)
        response = client.response(stream)
    assert response.status == status, str(response)
    found = response.get("www-authenticate")
    assert found is None if challenge is None else challenge(found), found
    assert response.get("content-type") == "application/problem+json"
    assert response.json()["status"] == status and reason in response.json()["type"]
    assert response.get("content-length") == str(len(response.body))


@pytest.mark.parametrize("target", CONFUSIONS, ids=ascii)
def test_ambiguous_path_is_refused(proxy, target):
    statuses = (400, 401, 403, 404) if "..." in target else (400,)
    refuses(proxy, head(path=target), statuses)


@pytest.mark.parametrize("path", [
    "*", "", "x", "public/x", "http://api.test/public/x", "http:http://x/admin", "/public/x#y",
    "/public\\x", "//public/x", "/public/%2e%2e/admin", "/public/x?y#z", "?", "?/public/x",
    "api.test:80", "/public/\u00e9"], ids=ascii)
def test_bad_path_is_400(proxy, path):
    refuses(proxy, head(path=path), 400)


def test_options_of_everything_is_refused_as_in_http_1(proxy):
    with proxy.connect() as connection:
        connection.send(b"OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n")
        expected = connection.response().status
    proxy.upstream.reset()
    refuses(proxy, head("OPTIONS", "*"), expected)


@pytest.mark.parametrize("authority", [
    "user@api.test", "user:pass@api.test", "@api.test", "api.test/public", "api.test?x",
    "api.test#x", "api.test\\x", "api.test:80:80", "api.test:port", "api.test:99999", "[::1",
    "api.test,other.test", "api.test, other.test", "<api.test>", "api.test;x", "\xe9.test",
    "http://api.test", "%61pi.test@x"], ids=ascii)
def test_bad_authority_is_400(proxy, authority):
    refuses(proxy, head(authority=authority), 400)
    refuses(proxy, head(authority=None, fields=[("host", authority)]), 400)


@pytest.mark.parametrize("fields", [
    [*head(), ("host", "other.test")], [*head(), ("host", "api.test:81")],
    [*head(), ("host", "")], [*head(), ("host", "api.test"), ("host", "api.test")],
    [*head(), ("host", "api.test"), ("host", "other.test")],
    [*head(authority=None), ("host", "a.test"), ("host", "b.test")],
    [*head(), ("host", "api.test@other.test")]], ids=str)
def test_authority_that_is_not_host_is_400(proxy, fields):
    refuses(proxy, fields, 400)


@pytest.mark.parametrize("fields", [
    [("authorization", "Bearer {t}"), ("authorization", "Bearer {t}")],
    [("authorization", "Bearer x"), ("authorization", "Bearer {t}")],
    [("authorization", "Bearer {t}"), ("authorization", "Basic eDp5")],
    [("authorization", "Basic eDp5"), ("authorization", "Bearer {t}")],
    [("authorization", "Bearer {t}, Bearer {t}")],
    [("authorization", "Bearer {t} {t}")],
    [("authorization", ""), ("authorization", "Bearer {t}")],
    [("authorization_", "Bearer {t}")],
    [("proxy-authorization", "Bearer {t}")],
    [("cookie", "authorization=Bearer {t}")],
])
def test_ambiguous_authorization_is_refused(proxy, fields):
    token = mint()
    refuses(proxy, head(path="/token/x", fields=[
        (name, value.replace("{t}", token)) for name, value in fields]), (400, 401))


def test_two_tokens_are_an_invalid_request(proxy):
    response = exchange(proxy, path="/token/x", token=mint(),
                        fields=[("authorization", f"Bearer {mint()}")])
    assert response.status == 400
    assert 'error="invalid_request"' in response.get("www-authenticate")


def test_a_good_token_passes_and_is_removed(proxy):
    token = mint(sub="h2-user")
    assert exchange(proxy, path="/identity/x", token=token).status == 200
    request = proxy.upstream.request()
    assert request.get("X-Sub") == request.get("Remote-User") == "h2-user"
    assert token.encode() not in request.raw_head


def test_each_stream_is_judged_by_its_own_token(proxy):
    tokens = {f"/orders/{n}": mint(scope="orders:read" if n % 2 else "x") for n in range(20)}
    with dial(proxy) as client:
        streams = {path: client.request(path=path, token=token) for path, token in tokens.items()}
        streams["/orders/none"] = client.request(path="/orders/none")
        found = {path: client.response(stream).status for path, stream in streams.items()}
    expected = {path: 200 if int(path[8:]) % 2 else 403 for path in tokens}
    assert found == {**expected, "/orders/none": 401}


@pytest.mark.parametrize("name", [
    "remote-user", "x-remote-user", "x-user", "x-auth-user", "x-jwt-sub", "x-real-ip",
    "client-cert", "x-ssl-client-dn", "x-forwarded-user", "x-forwarded-email", "x-sub", "x-roles",
    "x-set", "x_forwarded_user", "x.forwarded.user", "remote_user", "x_sub", "x.sub",
    "x_forwarded-for", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"])
@pytest.mark.parametrize("path", ["/public/x", "/token/x"])
def test_identity_field_from_a_client_never_survives(proxy, name, path):
    token = mint() if path == "/token/x" else None
    assert exchange(proxy, path=path, token=token, fields=[(name, "spoofed")]).status == 200
    assert b"spoofed" not in proxy.upstream.request().raw_head


@pytest.mark.parametrize("name", ["transfer_encoding", "transfer.encoding", "content_length",
                                  "content.length", "connection_", "host_"])
def test_look_alike_of_a_framing_field_is_refused_or_harmless(proxy, name):
    fields = head(fields=[(name, "chunked" if "ransfer" in name else "0")])
    if name.endswith("_"):
        with dial(proxy) as client:
            assert client.outcome(client.open(fields)) in (200, 400)
    else:
        refuses(proxy, fields, 400)


@pytest.mark.parametrize("name, value", [
    ("x-original-url", "/public/x"), ("x-http-method-override", "GET"),
    ("x-rewrite-url", "/public/x"), ("user-agent", "kube-probe/1.29"), (":x", "y"),
    ("x-forwarded-for", "127.0.0.1"), ("http2-settings", "AAAA"),
    ("upgrade-insecure-requests", "1"),
    ("priority", "u=0"), ("alt-used", "public.test")])
def test_no_field_but_authorization_changes_policy(proxy, name, value):
    refuses(proxy, head("POST", "/orders/1", fields=[(name, value)]), (400, 401))


@pytest.mark.parametrize("fields", [
    [(":method", "CONNECT"), (":authority", "api.test:443")],
    [(":method", "CONNECT"), (":authority", "api.test:443"), ("authorization", "Bearer {t}")],
    [(":method", "CONNECT"), (":scheme", "http"), (":authority", "api.test"),
     (":path", "/public/x")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
     (":authority", "api.test"), (":path", "/public/x"), ("sec-websocket-version", "13")],
    [(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "http"),
     (":authority", "api.test"), (":path", "/public/x")],
], ids=["plain", "with a token", "with a path", "websocket", "connect-udp"])
def test_connect_makes_no_tunnel(proxy, fields):
    token = mint()
    statuses = (405,) if len(fields) <= 3 else (400, 405, 501)
    refuses(proxy, [(n, v.replace("{t}", token)) for n, v in fields], statuses)


def test_connect_is_405(proxy):
    with dial(proxy) as client:
        stream = client.open([(":method", "CONNECT"), (":authority", "api.test:443")])
        assert client.outcome(stream) == 405


def test_extended_connect_is_not_offered(proxy):
    """RFC 8441: SETTINGS_ENABLE_CONNECT_PROTOCOL (0x8) is not announced."""
    with dial(proxy) as client:
        client.await_settings()
        assert client.peer_settings.get(0x8, 0) == 0


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "FOO", "HEAD", "DELETE", "get"])
def test_no_method_without_a_token_reaches_the_upstream(proxy, method):
    refuses(proxy, head(method, "/token/x"), (400, 401, 405))


def test_trace_is_405_with_a_token_too(proxy):
    refuses(proxy, head("TRACE", "/token/x", token=mint()), 405)


def test_head_of_a_refusal_has_no_body(proxy):
    response = exchange(proxy, "HEAD", "/token/x")
    assert (response.status, response.body) == (401, b"")
    assert response.get("www-authenticate") == REALM


def test_the_request_id_is_kept_and_logged_for_each_stream(proxy):
    identifiers = [uuid.uuid4().hex for _ in range(10)]
    with dial(proxy) as client:
        streams = [client.request(path=f"/files/{n}" if n % 2 else "/token/x",
                                  fields=[("x-request-id", identifier)])
                   for n, identifier in enumerate(identifiers)]
        for stream in streams:
            client.response(stream)
    for number, identifier in enumerate(identifiers):
        line = proxy.log.find(identifier)
        assert line["status"] == (200 if number % 2 else 401) and line["method"] == "GET"
        assert line["path"] == (f"/files/{number}" if number % 2 else "/token/x")
        assert number % 2 or line["reason"] == "no_token"


def test_a_token_is_never_logged(proxy):
    token = mint()
    exchange(proxy, path="/token/x", token=token)
    exchange(proxy, "POST", body=b"x", trailers=[("authorization", f"Bearer {token}")])
    signature = token.rpartition(".")[2]
    assert signature not in proxy.log.text() and signature not in proxy.gateway.output


def test_a_cached_token_is_not_verified_for_each_stream(proxy):
    """RSA costs; a hundred streams with one token are quick, and a changed octet is refused."""
    token = mint(sub="cached")
    first, _, last = token.rpartition(".")
    broken = f"{first}.{'A' if last[0] != 'A' else 'B'}{last[1:]}"
    with dial(proxy) as client:
        for _ in range(5):
            streams = [client.request(path="/token/x", token=token) for _ in range(50)]
            streams.append(client.request(path="/token/x", token=broken))
            assert [client.response(one).status for one in streams] == [200] * 50 + [401]


# Limits.
def test_decoded_head_above_the_limit_is_431(proxy):
    with dial(proxy) as client:
        assert client.get(fields=[("x", "y" * 9000)]).status == 200
    for fields in ([(f"x{n}", "y" * 8000) for n in range(9)],
                   [(f"x{n}", "y" * 1000) for n in range(70)]):
        calm = Code.ENHANCE_YOUR_CALM
        assert sized(proxy, head(fields=fields)) in (431, ("reset", calm), ("goaway", calm))


def sized(proxy, fields):
    """The outcome of a head that needs CONTINUATION frames; nothing may be forwarded."""
    proxy.upstream.reset()
    whole = block(fields)
    parts = [whole[at:at + 16000] for at in range(0, len(whole), 16000)]
    with dial(proxy) as client:
        client.await_settings()
        stream = client.open(parts[0], flags=END_HEADERS if len(parts) == 1 else 0)
        for number, part in enumerate(parts[1:], 2):
            flags = END_HEADERS if number == len(parts) else 0
            client.send(frame(Type.CONTINUATION, flags, stream.id, part))
        result = client.outcome(stream)
    if result != 200:
        proxy.nothing_forwarded()
    return result


def test_a_head_below_the_limit_passes(proxy):
    assert sized(proxy, head(fields=[(f"x{n}", "y" * 9000) for n in range(6)])) == 200


@pytest.mark.parametrize("count, status", [(50, 200), (90, 200), (101, 431), (500, 431),
                                           (1500, 431)])
def test_field_count_above_the_limit_is_431(proxy, count, status):
    assert sized(proxy, head(fields=[(f"x{n}", "y") for n in range(count)])) == status


def test_cookie_crumbs_count_by_their_size(proxy):
    """They are one field in the end; 32 octets for each count all the same (§10.5.1)."""
    crumbs = [("cookie", f"c{n}=1") for n in range(3000)]
    assert sized(proxy, head(fields=crumbs)) in (431, ("goaway", Code.ENHANCE_YOUR_CALM))


def test_token_above_the_limit_is_431(proxy):
    assert sized(proxy, head(path="/token/x", token=mint(filler="x" * 14_000))) == 431
    assert sized(proxy, head(path="/token/x", token=mint(filler="x" * 9_000))) == 200


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size, status", [(1023, 200), (1024, 200), (1025, 413), (100_000, 413)])
def test_body_above_max_body_is_413(proxy, size, status, known):
    with dial(proxy) as client:
        fields = [("content-length", str(size))] if known else []
        stream = client.open(head("POST", "/small/x", fields=fields), end=False)
        client.upload(stream, bytes(size))
        result = client.outcome(stream)
        assert result == status or (status == 413 and not known and result[0] == "reset"), result
        assert client.get().status == 200
    assert any(r.raw and r.target == "/small/x" for r in proxy.upstream.requests) == (
        status == 200)


@pytest.mark.parametrize("cap", [1, 3, 20])
def test_streams_beyond_the_cap_are_refused(own, cap):
    proxy = own(limits={"concurrentStreams": cap})
    release = threading.Event()
    proxy.upstream.script = lambda request, peer: (release.wait(8), OK)[1]
    with dial(proxy) as client:
        client.await_settings()
        assert client.peer_settings[Setting.MAX_CONCURRENT_STREAMS] == cap
        streams = [client.request(path=f"/public/{n}") for n in range(cap)]
        if cap > 1:
            proxy.upstream.request(cap)
        beyond = [client.request(path=f"/public/beyond-{n}") for n in range(5)]
        outcomes = {client.outcome(stream) for stream in beyond}
        release.set()
        if outcomes <= {("reset", Code.REFUSED_STREAM), ("reset", Code.PROTOCOL_ERROR)}:
            assert [client.response(one).status for one in streams] == [200] * cap
            assert client.get().status == 200
        else:
            # §5.4.2: a client that knew the limit may be treated as broken altogether.
            assert outcomes == {("goaway", Code.PROTOCOL_ERROR)}
    assert proxy.get("/public/x").status == 200
    assert not any("beyond" in request.target for request in proxy.upstream.requests)


def test_a_hundred_unfinished_uploads_do_not_stop_service(proxy):
    with dial(proxy) as client:
        client.await_settings()
        for _ in range(100):
            client.open(head("POST"), end=False)
        client.alive()
        assert proxy.get("/public/x").status == 200
        with dial(proxy) as other:
            assert other.get().status == 200
