"""Header fields from hostile clients: HOSTILE rows 18 to 21."""

import pytest
from harness.client import request_bytes
from harness.tokens import mint


def head(*lines, target="/public/x", method="GET", version="HTTP/1.1"):
    text = "\r\n".join([f"{method} {target} {version}", *lines, "", ""])
    return text.encode("latin-1")


HOST = "Host: api.test"


# Row 18: Host.
@pytest.mark.parametrize("lines", [
    [], ["Host: api.test", "Host: api.test"], ["Host: api.test", "host: other.test"],
    ["Host: api.test, other.test"], ["Host: api.test,api.test"], ["Host: user@api.test"],
    ["Host: api.test/public"], ["Host: api.test/"], ["Host: http://api.test"], ["Host: api.test?x"],
    ["Host: api.test#x"], ["Host: api test"], ["Host: api.test\\x"], ["Host: api.test:80:80"],
    ["Host: api.test:port"], ["Host: api.test:-1"], ["Host: api.test:99999"],
    ["Host: api.test:+80"],
    ["Host: [::1"], ["Host: ::1]"], ["Host: [::1]x"], ["Host: [zz]"], ["Host: api.test\x00"],
    ["Host: api\x01test"], ["Host: \xe9.test"], ["Host: api.test;x"], ["Host: <api.test>"],
    ["Host: \"api.test\""], ["Host: api.test\t x"], ["Host : api.test"], [" Host: api.test"],
    ["Host: api.test", " continued"], ["Hos\tt: api.test"], ["Host: %"],
    ["Host: api..test@x"], ["Host: api.test|x"], ["Host: {api}"], ["Host: api^test"],
    ["Host: api`test"],
], ids=ascii)
def test_bad_host_is_refused(proxy, lines):
    proxy.refuses(head(*lines), 400)


@pytest.mark.parametrize("host", ["api.test", "api.test:80", "127.0.0.1:8080", "[::1]",
                                  "[::1]:8080",
                                  "API.TEST", "a_b.test", "xn--bcher-kva.test", "api.test.",
                                  "localhost",
                                  "  api.test  ".strip()])
def test_good_host_passes(proxy, host):
    assert proxy.get("/public/x", host=host).status == 200
    assert proxy.upstream.request().get("Host").lower().startswith(host.lower().rstrip("."))


def test_empty_host_is_refused_or_matches_no_host(proxy):
    """RFC 9112 §3.2 allows an empty Host where the target has no authority; no user needs it."""
    assert proxy.raw(head("Host:")).status in (200, 400)


# Row 18: Authorization.
def authorizations():
    token = mint()
    return {
        "twice": [f"Authorization: Bearer {token}", f"Authorization: Bearer {token}"],
        "twice, the first bad": ["Authorization: Bearer x", f"Authorization: Bearer {token}"],
        "twice, other case": [f"Authorization: Bearer {token}", f"AUTHORIZATION: Bearer {token}"],
        "bearer and basic": [f"Authorization: Bearer {token}", "Authorization: Basic eDp5"],
        "basic and bearer": ["Authorization: Basic eDp5", f"Authorization: Bearer {token}"],
        "joined": [f"Authorization: Bearer {token}, Bearer {token}"],
        "joined without space": [f"Authorization: Bearer {token},Bearer {token}"],
        "folded": ["Authorization: Bearer", f" {token}"],
        "folded by tab": ["Authorization: Bearer", f"\t{token}"],
        "underscore look-alike": [f"Authorization_: Bearer {token}"],
        "empty and good": ["Authorization:", f"Authorization: Bearer {token}"],
    }


@pytest.mark.parametrize("case", list(authorizations()))
def test_ambiguous_authorization_is_refused(proxy, case):
    data = head(HOST, *authorizations()[case], target="/token/x")
    proxy.refuses(data, (400, 401))


def test_two_tokens_are_an_invalid_request(proxy):
    data = head(HOST, *authorizations()["twice"], target="/token/x")
    response = proxy.refuses(data, 400)
    assert 'error="invalid_request"' in response.get("WWW-Authenticate")


def test_authorization_in_trailers_authorises_nothing(proxy):
    data = head(HOST, "Transfer-Encoding: chunked", "Trailer: Authorization", target="/token/x",
                method="POST") + f"0\r\nAuthorization: Bearer {mint()}\r\n\r\n".encode()
    proxy.refuses(data, (400, 401))



@pytest.mark.parametrize("name", [
    "Transfer_Encoding", "Transfer.Encoding", "transfer_encoding", "TRANSFER_ENCODING",
    "Content_Length",
    "Content.Length", "content_length"])
def test_look_alike_of_a_framing_field_is_refused(proxy, name):
    value = "chunked" if "ransfer" in name.lower() else "0"
    proxy.refuses(head(HOST, f"{name}: {value}"), 400)


# Row 19: identity and forwarding fields never survive.
IDENTITY = [
    "Remote-User", "X-Remote-User", "X-User", "X-Original-User", "X-Auth-Subject", "X-Auth-User",
    "X-JWT-Sub", "X-JWT-Anything-At-All", "X-Real-IP", "True-Client-IP", "Client-Cert",
    "X-SSL-Client-Dn",
    "X-SSL-Verify", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Client-Cert", "X-Forwarded-Port",
    "X-Forwarded-Prefix", "X-Sub", "X-Roles", "X-City", "X-Audit-Sub", "X-Set", "X-Tenant-Id",
]


def spellings(name):
    return [name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "."),
            name.replace("-", "_").lower(), name.replace("-", ".").upper(),
            name.replace("-", "_", 1), name.swapcase()]


@pytest.mark.parametrize("target", ["/public/x", "/token/x", "/audit/x", "/forward-token/x"])
@pytest.mark.parametrize("name", IDENTITY)
def test_identity_field_from_a_client_never_survives(proxy, name, target):
    fields = [(spelling, f"spoofed{n}") for n, spelling in enumerate(spellings(name))]
    token = None if target == "/public/x" else mint(tenant="acme")
    assert proxy.get(target, token, fields=fields).status == 200
    assert b"spoofed" not in proxy.upstream.request().raw_head


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
                                  "Forwarded"])
def test_forwarding_field_from_a_stranger_is_replaced(proxy, name):
    fields = [(spelling, "for=6.6.6.6") for spelling in spellings(name)]
    assert proxy.get("/public/x", fields=fields).status == 200
    request = proxy.upstream.request()
    assert b"6.6.6.6" not in request.raw_head
    assert len(request.fields.all(name)) == 1


@pytest.mark.parametrize("name", ["Remote-User", "X-Forwarded-User", "X-Sub", "X-JWT-Sub"])
def test_identity_field_in_trailers_never_survives(proxy, name):
    data = head(HOST, "Transfer-Encoding: chunked", method="POST")
    data += f"1\r\nx\r\n0\r\n{name}: spoofed\r\n{name.replace('-', '_')}: spoofed\r\n\r\n".encode()
    response = proxy.raw(data)
    assert response.status in (200, 400)
    if response.status == 200:
        assert b"spoofed" not in proxy.upstream.request().raw


@pytest.mark.parametrize("name, value", [
    ("X-Original-URL", "/public/x"), ("X-Rewrite-URL", "/public/x"),
    ("X-Forwarded-Uri", "/public/x"),
    ("X-Forwarded-Method", "GET"), ("X-HTTP-Method-Override", "GET"), ("X-Method-Override", "GET"),
    ("X-HTTP-Method", "GET"), ("User-Agent", "kube-probe/1.29"), ("User-Agent", "GoogleHC/1.0"),
    ("User-Agent", "ELB-HealthChecker/2.0"), ("X-Forwarded-Host", "public.test"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"), ("X-Original-Host", "localhost"), ("Origin", "http://localhost"),
    ("X-Envoy-Internal", "true"), ("X-Custom-IP-Authorization", "127.0.0.1"),
    ("Referer", "http://api.test/public/x"),
    ("X-Auth-Request-Redirect", "/public/x"), ("X-Forwarded-Prefix", "/public"),
    ("Access-Control-Request-Method", "GET"),
    ("X-Forwarded-Access-Token", "x"), ("Forwarded", "for=127.0.0.1;host=localhost"),
    ("Upgrade-Insecure-Requests", "1"),
])
@pytest.mark.parametrize("target, method", [("/admin", "GET"), ("/orders/1", "POST")])
def test_no_field_but_authorization_changes_policy(proxy, name, value, target, method):
    proxy.refuses(request_bytes(method, target, fields={name: value}), 401)


# Row 20: Connection.
@pytest.mark.parametrize("named", ["Host", "Authorization", "Content-Length", "Transfer-Encoding",
                                   "host",
                                   "AUTHORIZATION", "close, Host", "Host , close",
                                   "x,,content-length",
                                   "keep-alive,Transfer-Encoding"])
def test_connection_naming_a_protected_field_is_refused(proxy, named):
    data = head(HOST, f"Connection: {named}", f"Authorization: Bearer {mint()}", target="/token/x")
    proxy.refuses(data, 400)


@pytest.mark.parametrize("named", [
    "Remote-User", "X-Forwarded-User", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via",
    "X-Request-Id", "X-Sub", "x-sub", "X-Forwarded-Host", "close, X-Sub, X-Forwarded-For"])
def test_connection_cannot_remove_our_own_fields(proxy, named):
    fields = {"Connection": named}
    assert proxy.get("/identity/x", mint(), fields=fields).status == 200
    request = proxy.upstream.request()
    for name in ("Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded",
                 "X-Request-Id"):
        assert name in request.fields, name
    assert request.get("X-Sub") == request.get("Remote-User") == "alice"


@pytest.mark.parametrize("lines", [
    ["Connection: X-Drop", "X-Drop: 1"], ["X-Drop: 1", "Connection: close, x-drop"],
    ["Connection: keep-alive", "Connection: X-DROP", "X-Drop: 1"],
    ["X-Drop: 1", "X-Drop: 2", "Connection: X-Drop"],
    ["Keep-Alive: timeout=5", "Connection: keep-alive"], ["Proxy-Connection: keep-alive"],
    ["TE: gzip", "Connection: TE"], ["Upgrade: foo", "Connection: close"],
    ["Proxy-Authorization: Basic eDp5"],
])
def test_hop_by_hop_fields_are_not_forwarded(proxy, lines):
    """RFC 9110 §7.6.1. Proxy-Authorization is for us or nobody; it never helps a back end."""
    assert proxy.raw(head(HOST, *lines)).status == 200
    request = proxy.upstream.request()
    for name in ("X-Drop", "Keep-Alive", "Proxy-Connection", "Upgrade", "Proxy-Authorization"):
        assert name not in request.fields, request.raw_head
    assert "gzip" not in request.get("TE", "")


# Row 21: the syntax of field lines.
@pytest.mark.parametrize("line", [
    b": value", b"Na me: x", b"Name : x", b"Name\t: x", b"Name", b"Na\0me: x", b"Name: a\0b",
    b"Name: a\rb",
    b"Name: a\nb: c", b"Na(me: x", b"Na,me: x", b"Na/me: x", b"Na@me: x", b"Na[me: x",
    b"N\xc3\xa9: x",
    b"Na;me: x", b"Na{me: x", b"\"Name\": x", b"=: x", b"Name: x\r\n folded",
    b"Name: x\r\n\tfolded",
    b" Leading: x", b"\tLeading: x", b"Name: \x01", b"Name: \x7f", b"Name: \x1b[0m", b"Name: x\r",
    b"\rName: x",
    b"\0", b"Name: x\n", b"\x80: x", b"Name\0: x", b"Name:\x0bx", b"Name:\x0c",
    b"Name: x\r\r\nOther: y",
], ids=ascii)
@pytest.mark.parametrize("position", ["first", "last"])
def test_malformed_field_line_is_refused(proxy, line, position):
    lines = [line, HOST.encode()] if position == "first" else [HOST.encode(), line]
    data = b"GET /public/x HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    proxy.refuses(data, 400)


@pytest.mark.parametrize("data", [
    b"GET /public/x HTTP/1.1\nHost: api.test\n\n",
    b"GET /public/x HTTP/1.1\r\nHost: api.test\n\r\n",
    b"GET /public/x HTTP/1.1\nHost: api.test\r\n\r\n",
    b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n\n",
    b"GET /public/x HTTP/1.1\rHost: api.test\r\r",
    b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n\rX: y\r\n\r\n",
], ids=ascii)
def test_bare_line_ends_are_refused(proxy, data):
    with proxy.connect() as connection:
        connection.send(data)
        connection.half_close()
        assert connection.response().status == 400
    proxy.nothing_forwarded()


@pytest.mark.parametrize("value", ["", "x", "a\tb", "é", "x" * 9000, "a  b", "\"q\\\"x\"", "%0d%0a",
                                   "a,b;c=d",
                                   "\xa0\xff"])
def test_good_field_value_passes_byte_for_byte(proxy, value):
    assert proxy.get("/public/x", fields={"X-Plain": value}).status == 200
    assert proxy.upstream.request().get("X-Plain") == value


def test_field_names_and_order_survive(proxy):
    fields = [("X-One", "1"), ("x-two", "2"), ("X-ONE", "3"), ("Accept", "a"), ("Accept", "b")]
    assert proxy.get("/public/x", fields=fields).status == 200
    passed = [(n, v) for n, v in proxy.upstream.request().fields if (n, v) in fields]
    assert passed == fields


@pytest.mark.parametrize("lead", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_skipped(proxy, lead):
    """RFC 9112 §2.2: at least one is to be ignored."""
    assert proxy.raw(lead[:2] + head(HOST)).status == 200
    assert proxy.raw(lead + head(HOST)).status in (200, 400)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "FOO", "PROPFIND", "HEAD", "POST", "PUT",
                                    "DELETE",
                                    "PATCH", "CONNECT", "get", "M-SEARCH", "BREW",
                                    "!#$%&'*+-.^_`|~"])
@pytest.mark.parametrize("target", ["/token/x", "/orders/1", "/admin", "/files/special"])
def test_no_method_without_a_token_reaches_the_upstream(proxy, method, target):
    data = request_bytes(method, target)
    with proxy.connect() as connection:
        connection.send(data)
        assert connection.response(method).status in (400, 401, 405)
    proxy.nothing_forwarded()
