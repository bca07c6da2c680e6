"""Request targets, paths, routes, methods and hosts: HOSTILE rows 15 to 17 and CONFIG's Paths."""

import json

import pytest
from harness.client import request_bytes
from harness.tokens import mint


def get(target, host="api.test"):
    return request_bytes("GET", target, host=host)


# Row 15 and 16: what must never reach /admin, written in every way we know. Most are malformed
# (400); the rest name other resources, which either need a token or do not exist.
CONFUSIONS = [
    "/public/../admin", "/public/./../admin", "/public/%2e%2e/admin", "/public/%2E%2E/admin",
    "/public/.%2e/admin", "/public/%2e./admin", "/public/..%2fadmin", "/public/..%2Fadmin",
    "/public/%2e%2e%2fadmin", "/public/..%5cadmin", "/public/..\\admin", "/public\\..\\admin",
    "/public/..;/admin", "/public/..;x=1/admin", "/public/;/../admin", "/public/%3b/admin",
    "/public/.../admin", "/public/. ./admin", "/public/%252e%252e/admin", "/public/%252e/admin",
    "/public/%25%32%65/admin", "/public/%%32%65/admin", "/public/%c0%ae%c0%ae/admin",
    "/public/%c0%af/admin", "/public/%e0%80%af/admin", "/public/%ff/x", "/public/%00/admin",
    "/public/x%00", "/public/%0d%0aX:1", "/public/%0a", "/public/%09x", "/public/%7f",
    "/public/%1f",
    "/public/%80", "/public/%c3", "/public/%u002e%u002e/admin", "/public/%", "/public/%2",
    "/public/%zz",
    "/public/%2g", "/public/%-1", "/public/x%", "/public//admin", "//admin", "///admin",
    "//public/x",
    "/public/x//", "/public//", "//", "/./admin", "/admin/.", "/admin/./", "/public/.",
    "/public/..",
    "/public/x/..", "/.", "/..", "/%2e", "/public/%20", "/public/ /x", "/public/%20/x",
    "/public/.%20/x", "/public/x/%20%2e", "/admin;x", "/;/admin", "/public;/x", "/public/x;",
    "/public/;",
    "/public/x;jsessionid=1", "/public/%3B", "/public/%5C", "/public/%5c..%5cadmin", "/public/%2f",
    "/public/a%2fb", "/public/x#frag", "/public#", "/#", "/public/x?y#z", "/public/é",
    "/public/\x80",
    "/public/\xff", "/public/x\x01", "/public/\x7f", "/public/%ed%a0%80", "/public/%f5%80%80%80",
    "/public/%fe", "/public/%c1%81dmin", "/public/%e2%80", "/public/%F0%9F%98", "/public/%2525",
    "/public/%2561", "/public/%2525%32%65",
]
CONFUSIONS = [target.rstrip(" ") for target in CONFUSIONS]


@pytest.mark.parametrize("target", CONFUSIONS, ids=ascii)
def test_ambiguous_path_is_refused(proxy, target):
    response = proxy.refuses(get(target), (400, 401, 403, 404))
    if "..." not in target:
        assert response.status == 400, str(response)


@pytest.mark.parametrize("target", [
    "/admin", "/%61dmin", "/a%64min", "/%61%64%6d%69%6e", "/%61%64%6D%69%6E", "/admin?public",
    "/admin?x=/public/x", "/admin?/../public/x", "/admin/", "/admin/x", "/%61dmin/x",
    "/admin/public",
    "/admin?access=public&role=admin", "/admin??", "/admin?%00", "/admin?a;b", "/admin?a\\b"])
def test_the_rule_of_admin_holds_however_it_is_written(proxy, target):
    proxy.refuses(get(target), 401)
    proxy.refuses(request_bytes("GET", target, token=mint(scope="orders:read")), 403)
    assert proxy.get(target, mint(scope="admin")).status == 200


@pytest.mark.parametrize("target", [
    "/ADMIN", "/Admin", "/admin.", "/admin%2e", "/admin%20", "/admin,x", "/admin.json", "/admi",
    "/admin2",
    "/%41dmin", "/", "/nothing", "/publi", "/public2", "/PUBLIC/x", "/exact/", "/exact/x",
    "/exact/slash",
    "/get-only/", "/files/", "/files/a/b", "/files/a/meta/", "/filesx"])
def test_other_paths_are_not_found(proxy, target):
    """Case and a final slash count; `{id}` is never empty."""
    proxy.refuses(get(target), 404)


@pytest.mark.parametrize("target, forwarded", [
    ("/public", "/public"), ("/public/", "/public/"), ("/public/x", "/public/x"),
    ("/public/%41%7a%30%2d%5f%7e", "/public/Az0-_~"), ("/public/%c3%a9", "/public/%C3%A9"),
    ("/public/a%20b", "/public/a%20b"), ("/public/a%2bb", "/public/a%2Bb"),
    ("/public/a+b", "/public/a+b"),
    ("/public/a%3ab", "/public/a%3Ab"), ("/public/%e6%bc%a2", "/public/%E6%BC%A2"),
    ("/public/x.y..z", "/public/x.y..z"), ("/public/.hidden", "/public/.hidden"),
    ("/public/a:b@c!$&'()*,=", "/public/a:b@c!$&'()*,="), ("/public/%21", "/public/%21"),
    ("/public/100%25", "/public/100%25"), ("/public/%25", "/public/%25"),
    ("/public/%25x", "/public/%25x"),
    ("/public/a%3Fb", "/public/a%3Fb"), ("/public/a%23b", "/public/a%23b"),
    ("/%70ublic/x", "/public/x"), ("/public/x%2ey", "/public/x.y"), ("/public/a|b", "/public/a|b"),
    ("/public/{id}", "/public/{id}"), ("/public/\"x\"", "/public/\"x\""),
    ("/public/<x>", "/public/<x>"),
    ("/public/x?", "/public/x?"), ("/public/x?a=b&c", "/public/x?a=b&c"),
    ("/public/x?a=%2e%2e/%2f//;\\", "/public/x?a=%2e%2e/%2f//;\\"),
    ("/public/x?%zz%", "/public/x?%zz%"),
    ("/public/x??", "/public/x??"), ("/public/x?a=/../b", "/public/x?a=/../b"),
    ("/public/x?%41", "/public/x?%41"), ("/public/x?" + "q" * 8000, "/public/x?" + "q" * 8000),
    ("/public/" + "p" * 8000, "/public/" + "p" * 8000),
], ids=lambda value: ascii(value[:40]))
def test_what_was_matched_is_what_is_forwarded(proxy, target, forwarded):
    """Unreserved escapes are decoded, others upper-cased, the query is passed byte for byte."""
    assert proxy.raw(get(target)).status == 200
    assert proxy.upstream.request().target == forwarded


# Row 17: forms of the target.
@pytest.mark.parametrize("target", [
    "http:http://api.test/admin", "admin", "admin/", "public/x", "*", "?x", "api.test", "http:",
    "http://", "http:///public/x", "http:/public/x", "http//api.test/public/x",
    "://api.test/public/x",
    "http://user@api.test/public/x", "http://user:pw@api.test/public/x",
    "http://@api.test/public/x",
    "http://other.test/public/x", "http://api.test:81/public/x", "http://api.test.evil/public/x",
    "http://api.test\\@evil/public/x", "http://api.test#/public/x", "http://api.test%2f/public/x",
    "ftp://api.test/public/x", "javascript:alert(1)", "file:///etc/passwd",
    "http:api.test/public/x",
    "HTTP:/public/x", "http://api.test:/../public/x", "http://api.test/public/../admin",
    "http://api.test//admin", "http://api.test/public/%2e%2e/admin", "http://[::1/public/x",
    "http://api test/public/x", "http://evil.test,api.test/public/x", "/public/x /admin",
])
def test_target_in_another_form_is_refused(proxy, target):
    proxy.refuses(get(target), 400)


@pytest.mark.parametrize("target", ["http://api.test/public/x", "HTTP://api.test/public/x",
                                    "http://API.test/public/x"])
def test_absolute_form_with_the_same_authority_is_forwarded_in_origin_form(proxy, target):
    """RFC 9112 §3.2.2: a server must accept it."""
    assert proxy.raw(get(target)).status == 200
    assert proxy.upstream.request().target == "/public/x"


def test_absolute_form_without_a_path_means_the_root(proxy):
    proxy.refuses(get("http://api.test"), 404)
    proxy.refuses(get("http://api.test?x"), 404)


@pytest.mark.parametrize("target, status", [("*", (200, 204, 400, 404, 405)), ("/options", (200,))])
def test_options(proxy, target, status):
    """`OPTIONS *` concerns no route; it must not be forwarded as if it named one."""
    response = proxy.raw(request_bytes("OPTIONS", target))
    assert response.status in status
    if target == "*":
        proxy.nothing_forwarded()


@pytest.mark.parametrize("target", ["api.test:443", "127.0.0.1:22", "/public/x",
                                    "http://api.test/public/x",
                                    "api.test", "*", "[::1]:443"])
def test_connect_opens_no_tunnel(proxy, target):
    """405 always; a target that is no authority may be called malformed first."""
    with proxy.connect() as connection:
        connection.send(request_bytes("CONNECT", target, host="api.test:443"))
        response = connection.response()
        assert response.status in ((405,) if target == "api.test:443" else (400, 405))
        connection.send(b"SSH-2.0-probe\r\n\r\n")
    proxy.nothing_forwarded()


@pytest.mark.parametrize("target", ["/public/x", "/token/x", "/nothing", "/options"])
@pytest.mark.parametrize("token", [None, "good"])
def test_trace_is_never_forwarded(proxy, target, token):
    data = request_bytes("TRACE", target, token=token and mint())
    proxy.refuses(data, (404, 405) if target == "/nothing" else 405)


@pytest.mark.parametrize("line", [
    "GET /public/x", "GET  /public/x HTTP/1.1", "GET /public/x  HTTP/1.1",
    " GET /public/x HTTP/1.1",
    "GET\t/public/x\tHTTP/1.1", "GET /public/x HTTP/1.1 ", "GET /public/x http/1.1",
    "GET /public/x HTTP/1",
    "GET /public/x HTTP/1.10", "GET /public/x HTTP/01.1", "GET /public/x HTTP/1,1",
    "GET /public/x HTP/1.1",
    "GET /public/x HTTP/1.1x", "GET HTTP/1.1", "/public/x HTTP/1.1", "G(T /public/x HTTP/1.1",
    "GET@ /public/x HTTP/1.1", "G\0T /public/x HTTP/1.1", "GÉT /public/x HTTP/1.1",
    "GET /public/x\0 HTTP/1.1",
    "GET /pub\rlic/x HTTP/1.1", "GET /public/x HTTP/1.1\r", "G" * 70 + "/ /public/x HTTP/1.1",
    "GET /public/x HTTP/0.9", "GET /public/x HTTP/-1.1", "\0",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
])
def test_malformed_request_line_is_refused(proxy, line):
    proxy.refuses(line.encode("latin-1") + b"\r\nHost: api.test\r\n\r\n", 400)


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/9.9", "HTTP/2"])
def test_other_versions_are_refused_or_answered_as_1_1(proxy, version):
    """RFC 9112 §2.3: 505 is for other major versions; 400 is as clear. A later minor version is to
    be processed as the highest that we know."""
    accepted = (200, 400, 505) if version == "HTTP/1.2" else (400, 505)
    response = proxy.raw(f"GET /public/x {version}\r\nHost: api.test\r\n\r\n".encode())
    assert response.status in accepted


def test_the_http2_preface_is_no_request_of_http_1_1(proxy):
    """Behind a request the preface is not the beginning of a connection (RFC 9113 §3.4)."""
    connection = proxy.connect()
    connection.send(b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert connection.response().status == 200
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert connection.response().status in (400, 405, 505)


# Routing.
@pytest.mark.parametrize("target, route, status", [
    ("/files/1", "file", 200), ("/files/special", "special", 401),
    ("/files/%73pecial", "special", 401),
    ("/files/1/meta", "meta", 401), ("/files/special2", "file", 200),
    ("/files/SPECIAL", "file", 200),
    ("/token/x", "token", 401), ("/public/x/y/z", "public", 200)])
def test_the_best_pattern_decides(proxy, target, route, status):
    response, line = proxy.logged("GET", target)
    assert (response.status, line["route"]) == (status, route)


METHODS = [
    ("GET", "/get-only", None, 200), ("HEAD", "/get-only", None, 200),
    ("POST", "/get-only", None, 405),
    ("OPTIONS", "/get-only", None, 405), ("DELETE", "/get-only", None, 405),
    ("get", "/get-only", None, 405),
    ("Get", "/get-only", None, 405), ("GETX", "/get-only", None, 405),
    ("PURGE", "/get-only", None, 405),
    ("PATCH", "/orders/1", None, 405), ("PATCH", "/orders/1", "orders:write", 405),
    ("HEAD", "/orders/1", "orders:read", 200), ("HEAD", "/orders/1", "orders:write", 403),
    ("HEAD", "/head-own", None, 401), ("HEAD", "/head-own", "admin", 200),
    ("GET", "/head-own", None, 200),
    ("GET", "/with-default", None, 200), ("POST", "/with-default", None, 401),
    ("POST", "/with-default", "admin", 200), ("FOO", "/with-default", "admin", 200),
    ("HEAD", "/with-default", None, 200), ("PURGE", "/options", None, 200),
    ("OPTIONS", "/options", None, 200),
    ("GET", "/options", None, 405), ("OPTIONS", "/orders/1", None, 405),
    ("OPTIONS", "/token/x", None, 401),
    ("PROPFIND", "/token/x", None, 401), ("X-CUSTOM", "/token/x", None, 401),
    ("OPTIONS", "/public/x", None, 200),
    ("POST", "/nothing", None, 404), ("get", "/with-default", None, 401),
]


@pytest.mark.parametrize("method, target, scope, status", METHODS)
def test_method_chooses_within_the_pattern(proxy, method, target, scope, status):
    token = mint(scope=scope) if scope else None
    response = proxy.send(method, target, token=token)
    assert response.status == status, str(response)
    if status != 200:
        proxy.nothing_forwarded()


@pytest.mark.parametrize("method, target, allowed", [
    ("POST", "/get-only", {"GET", "HEAD"}), ("PATCH", "/orders/1",
                                             {"GET", "HEAD", "POST", "DELETE"}),
    ("GET", "/options", {"OPTIONS", "PURGE"}), ("POST", "/head-own", {"GET", "HEAD"})])
def test_405_names_the_allowed_methods(proxy, method, target, allowed):
    response = proxy.refuses(request_bytes(method, target), 405)
    assert {word.strip() for word in response.get("Allow").split(",")} == allowed
    assert "WWW-Authenticate" not in response.fields


def test_trace_405_has_an_allow_field(proxy):
    """RFC 9110 §15.5.6 requires Allow in every 405; it never lists TRACE."""
    response = proxy.send("TRACE", "/get-only")
    assert response.status == 405 and "TRACE" not in response.get("Allow")


# Hosts.
@pytest.mark.parametrize("host, status, route", [
    ("api.example.com", 200, "exact-host"), ("API.Example.COM", 200, "exact-host"),
    ("api.example.com:8080", 200, "exact-host"), ("api.example.com.", 200, "exact-host"),
    ("api.example.com.:443", 200, "exact-host"), ("www.example.com", 401, "wildcard"),
    ("a.b.example.com", 401, "wildcard"), ("x.deep.example.com", 200, "longer"),
    ("deep.example.com", 401, "wildcard"), ("example.com", 404, None),
    ("evilexample.com", 404, None),
    ("api.example.com.evil.test", 404, None), ("api.test", 404, None), ("127.0.0.1", 404, None),
    ("[::1]:80", 404, None)])
def test_host_decides_first(proxy, host, status, route):
    response, line = proxy.logged("GET", "/hosted", host=host)
    assert response.status == status, str(response)
    if route:
        assert line["route"] == route


def test_less_specific_host_pattern_is_never_tried_instead(proxy):
    """/hosted/below is public without a host, but api.example.com has its own rule for it."""
    assert proxy.get("/hosted/below", host="api.test").status == 200
    assert proxy.get("/hosted/below", host="api.example.com").status == 401


def test_host_of_the_absolute_form_chooses_the_route(proxy):
    data = get("http://api.example.com/hosted", host="api.example.com")
    assert proxy.raw(data).status == 200
    proxy.refuses(get("http://api.example.com/hosted", host="www.example.com"), 400)


# Legacy liberties.
@pytest.mark.parametrize("target, forwarded", [
    ("/parameters/a;b=c/d", "/parameters/a;b=c/d"), ("/parameters/x;", "/parameters/x;"),
    ("/encoded/a%2Fb", "/encoded/a%2Fb"), ("/encoded/a%2fb", "/encoded/a%2fb"),
    ("/doubled/a//b", "/doubled/a//b"), ("/doubled//", "/doubled//"),
])
def test_unsafe_paths_let_through_what_the_route_allows(proxy, target, forwarded):
    assert proxy.get(target).status == 200
    assert proxy.upstream.request().target == forwarded


@pytest.mark.parametrize("target", [
    "/parameters/a%2Fb", "/parameters/a//b", "/encoded/a;b", "/encoded//a", "/doubled/a;b",
    "/doubled/a%2fb",
    "/parameters/..;/admin", "/parameters/../admin", "/encoded/..%2fadmin",
    "/encoded/%2e%2e%2fadmin",
    "/encoded/%2e%2e/admin", "/doubled//../admin", "/doubled/./x", "/parameters/%5c",
    "/encoded/%5c",
    "/parameters/..;", "/parameters/.;x/y", "/encoded/x%2f..%2f..%2fadmin", "/encoded/%2f%2e%2e%2f",
    "/parameters;x/y", "/doubled/%00//x"])
def test_unsafe_paths_let_through_nothing_else(proxy, target):
    """A dot segment stays refused in whatever dress the permitted octet gives it."""
    proxy.refuses(get(target), (400, 404))


def test_ten_thousand_routes_decide_as_ten_do(own):
    routes = [{"path": f"/r{n}/{{id}}/x{n}", "access": "public"} for n in range(10_000)]
    proxy = own(*routes)
    for n in (0, 4999, 9999):
        assert proxy.get(f"/r{n}/7/x{n}").status == 200
        assert proxy.get(f"/r{n}/7/x{n + 1}").status == 404


def test_paths_in_the_log_are_canonical(proxy):
    response, line = proxy.logged("GET", "/%70ublic/%c3%a9?secret=1")
    assert response.status == 200
    assert "/public/%C3%A9" in json.dumps(line)
