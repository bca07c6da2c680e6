"""What the upstream receives and what the client gets back."""

import re
import socket
import stat

import pytest
from harness.client import Connection, request_bytes
from harness.gateway import free_port
from harness.modules import shared_proxy
from harness.standard import small
from harness.tokens import mint
from harness.upstream import Upstream, answer


# Added fields.
def test_forwarding_fields_are_added(proxy):
    assert proxy.get("/public/x", host="api.test:8080").status == 200
    request = proxy.upstream.request()
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert request.get("X-Forwarded-Proto") == "http"
    assert request.get("X-Forwarded-Host") == "api.test:8080"
    assert request.get("Via").startswith("1.1 ")
    forwarded = request.get("Forwarded").lower()
    assert "for=127.0.0.1" in forwarded and "proto=http" in forwarded
    assert re.search(r'host="?api\.test:8080"?', forwarded)
    assert request.get("X-Request-Id")


def test_via_is_extended(proxy):
    assert proxy.get("/public/x", fields={"Via": "1.0 fred"}).status == 200
    combined = ", ".join(proxy.upstream.request().fields.all("Via"))
    assert combined.startswith("1.0 fred, 1.1 ")


def test_response_carries_via(proxy):
    """RFC 9110 §7.6.3 lets a reverse proxy leave Via out of responses, but never twice in."""
    proxy.upstream.answers(answer(fields=[("Via", "1.1 inner")]))
    values = proxy.get("/public/x").fields.all("Via")
    assert ", ".join(values).startswith("1.1 inner")


def test_http_1_0_client_is_named_in_via(proxy):
    data = b"GET /public/x HTTP/1.0\r\nHost: api.test\r\n\r\n"
    assert proxy.raw(data).status == 200
    request = proxy.upstream.request()
    assert request.version == "HTTP/1.1" and request.get("Via").startswith("1.0 ")


def test_token_is_removed_everywhere(proxy):
    token = mint()
    for target in ("/token/x", "/public/x", "/optional/x", "/audit/x", "/forward-public/y"):
        proxy.upstream.reset()
        assert proxy.get(target, token).status == 200
        present = token.encode() in proxy.upstream.request().raw_head
        assert present == (target == "/forward-public/y"), target


def test_forward_token_keeps_authorization(proxy):
    token = mint()
    assert proxy.get("/forward-token/x", token).status == 200
    assert proxy.upstream.request().get("Authorization") == f"Bearer {token}"


@pytest.mark.parametrize("target, forwarded", [
    ("/strip/one/a/b?q", "/a/b?q"), ("/strip/one", "/"), ("/strip/one/", "/"),
    ("/strip/one?q", "/?q"),
    ("/strip/one/%61", "/a"), ("/strip/%6fne/a", "/a"), ("/add/a?q=1", "/v2/add/a?q=1"),
    ("/add", "/v2/add"),
    ("/swap/a", "/new/a"), ("/swap", "/new"), ("/swap/", "/new/"), ("/swap?x", "/new?x")])
def test_rewrite(proxy, target, forwarded):
    """Stripping the whole path leaves `/`, or what addPrefix says."""
    assert proxy.get(target).status == 200
    got = proxy.upstream.request().target
    # Whether `/swap` becomes `/new` or `/new/` is open.
    assert got == forwarded or (target, got) in [("/swap", "/new/"), ("/swap?x", "/new/?x")]


def test_rewrite_strips_whole_segments_only(proxy):
    assert proxy.get("/strip/onetwo").status == 404


@pytest.mark.parametrize("target, expected", [
    ("/public/x", "api.test"), ("/to-name/x", "internal.example"), ("/to-endpoint/x", None)])
def test_upstream_host(proxy, target, expected):
    assert proxy.get(target).status == 200
    request = proxy.upstream.request()
    assert request.get("Host") == (expected or f"127.0.0.1:{proxy.upstream.port}")
    assert request.get("X-Forwarded-Host") == "api.test"


def test_request_and_response_headers_are_set_and_removed(proxy):
    inner = [("Server", "secret/1.0"), ("X-Inner", "1"), ("X-Frame-Options", "ALLOWALL"),
             ("X-Kept", "1")]
    proxy.upstream.answers(answer(fields=inner))
    fields = [("X-Set", "mine"), ("x_set", "mine"), ("X-Gone", "1"), ("Cookie", "a=b"),
              ("X-Tenant-Id", "mine")]
    response = proxy.get("/headers/x", fields=fields)
    request = proxy.upstream.request()
    assert request.get("X-Set") == "by-proxy" and request.get("X-Tenant.Id") == "t1"
    assert "X-Gone" not in request.fields and "Cookie" not in request.fields
    assert b"mine" not in request.raw_head
    assert response.fields.all("X-Frame-Options") == ["DENY"] and response.get("X-Kept") == "1"
    assert "Server" not in response.fields and "X-Inner" not in response.fields


def test_other_fields_pass_untouched_both_ways(proxy):
    sent = [("Cookie", "a=b; c=d"), ("Cookie", "e"), ("Accept", "*/*"), ("X-Odd", "~!@#$%^&*()"),
            ("Origin", "null"),
            ("Range", "bytes=0-1"), ("If-None-Match", '"x"'), ("Traceparent", "00-1"),
            ("Max-Forwards", "5")]
    back = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("ETag", '"x"'), ("X-Odd", "é"),
            ("Server", "inner"),
            ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("WWW-Authenticate", 'Basic realm="inner"')]
    proxy.upstream.answers(answer("401 Unauthorized", b"no", back))
    response = proxy.get("/public/x", fields=sent)
    assert response.status == 401 and response.body == b"no"
    assert [pair for pair in proxy.upstream.request().fields if pair in sent] == sent
    assert [pair for pair in response.fields if pair in back] == back


def test_hop_by_hop_fields_of_a_response_are_not_forwarded(proxy):
    inner = [("Connection", "X-Private, keep-alive"), ("X-Private", "1"),
             ("Keep-Alive", "timeout=5"),
             ("Proxy-Connection", "x"), ("Upgrade", "h2c")]
    proxy.upstream.answers(answer(fields=inner))
    response = proxy.get("/public/x")
    for name in ("X-Private", "Keep-Alive", "Proxy-Connection", "Upgrade"):
        assert name not in response.fields, response.raw_head


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "301 Moved", "400 Bad",
                                    "403 Forbidden", "404 Not Found",
                                    "418 I'm a teapot", "500 Error", "503 Busy", "599 X", "299 "])
def test_upstream_status_passes(proxy, status):
    proxy.upstream.answers(answer(status))
    assert proxy.get("/token/x", mint()).status == int(status[:3])


@pytest.mark.parametrize("reason", ["", "OK", "Très bien"])
def test_reason_phrase_is_harmless(proxy, reason):
    proxy.upstream.answers(f"HTTP/1.1 200 {reason}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
    assert proxy.get("/public/x").status == 200


def test_te_trailers_may_pass_and_nothing_else_of_te(proxy):
    assert proxy.get("/public/x", fields={"TE": "trailers, gzip", "Connection": "TE"}).status == 200
    assert proxy.upstream.request().get("TE") in (None, "trailers")


# identityHeaders as configured.
def test_identity_headers_list_replaces_the_default(own):
    proxy = own(identityHeaders=["X-Special", "X-Team-*"])
    fields = {"X-Special": "a", "x_special": "a", "X-Team-One": "a", "x.team.two": "a",
              "Remote-User": "b", "X-Team": "c"}
    assert proxy.get("/public/x", fields=fields).status == 200
    request = proxy.upstream.request()
    assert b": a\r\n" not in request.raw_head
    assert request.get("Remote-User") == "b" and request.get("X-Team") == "c"


# trustedProxies.
def trusting(endpoint):
    return {**small(endpoint), "listeners": [{"trustedProxies": ["10.0.0.0/8", "127.0.0.1/32"]}]}


trusting_running, trusted = shared_proxy(trusting, name="trusting")


def test_trusted_forwarded_for_is_extended(trusted):
    assert trusted.get("/public/x", fields={"X-Forwarded-For": "198.51.100.7"}).status == 200
    assert trusted.upstream.request().get("X-Forwarded-For") == "198.51.100.7, 127.0.0.1"


def test_trusted_forwarding_fields_survive(trusted):
    fields = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
              "X-Forwarded-Port": "443",
              "X-Forwarded-Prefix": "/shop"}
    assert trusted.get("/public/x", fields=fields).status == 200
    request = trusted.upstream.request()
    for name, value in fields.items():
        assert request.get(name) == value


def test_trusted_forwarded_is_extended(trusted):
    assert trusted.get("/public/x",
                       fields={"Forwarded": "for=198.51.100.7;proto=https"}).status == 200
    value = ", ".join(trusted.upstream.request().fields.all("Forwarded")).lower()
    assert value.startswith("for=198.51.100.7;proto=https") and "for=127.0.0.1" in value


@pytest.mark.parametrize("name", ["X-Forwarded-User", "X-Forwarded-Email",
                                  "X-Forwarded-Access-Token", "Remote-User",
                                  "X_Forwarded_User", "X-Forwarded-Uri", "X_Forwarded_For",
                                  "x.forwarded.proto"])
def test_trust_covers_the_named_fields_only(trusted, name):
    """A look-alike spelling is not the field itself and goes."""
    assert trusted.get("/public/x", fields={name: "spoofed"}).status == 200
    assert b"spoofed" not in trusted.upstream.request().raw_head


def test_without_fields_from_a_trusted_proxy_ours_are_made(trusted):
    assert trusted.get("/public/x").status == 200
    request = trusted.upstream.request()
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert request.get("X-Forwarded-Proto") == "http"
    assert request.get("X-Forwarded-Host") == "api.test"


@pytest.mark.parametrize("value", ["a, b, c", "unknown", "<script>", "1.2.3.4:99, [::1]:8",
                                   "x" * 5000])
def test_trusted_garbage_never_breaks_the_line(trusted, value):
    assert trusted.get("/public/x", fields={"X-Forwarded-For": value}).status in (200, 400)


def test_other_peers_are_not_trusted(own):
    proxy = own(listeners=[{"trustedProxies": ["10.0.0.0/8", "127.0.0.2/32", "::1/128"]}])
    assert proxy.get("/public/x", fields={"X-Forwarded-For": "198.51.100.7"}).status == 200
    assert proxy.upstream.request().get("X-Forwarded-For") == "127.0.0.1"


# Listeners.
def unix_gateway(launch, folder, upstream, **listener):
    config = small(upstream.endpoint)
    config["listeners"] = [{"address": f"unix:{folder}/in.sock", **listener}]
    return launch(config)


def test_unix_listener_serves_replaces_a_stale_socket_and_has_mode_0660(launch, folder, upstream):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(folder / "in.sock"))
    stale.close()
    gateway = unix_gateway(launch, folder, upstream)
    assert gateway.get("/token/x", mint()).status == 200
    assert stat.S_IMODE((folder / "in.sock").stat().st_mode) == 0o660
    assert upstream.request().get("Via")


def test_unix_peer_is_trusted_when_named(launch, folder, upstream):
    gateway = unix_gateway(launch, folder, upstream, trustedProxies=["unix"])
    assert gateway.get("/public/x", fields={"X-Forwarded-For": "198.51.100.7"}).status == 200
    assert upstream.request().get("X-Forwarded-For").startswith("198.51.100.7")


def test_unix_peer_is_not_trusted_by_default(launch, folder, upstream):
    gateway = unix_gateway(launch, folder, upstream)
    assert gateway.get("/public/x", fields={"X-Forwarded-For": "198.51.100.7"}).status == 200
    assert b"198.51.100.7" not in upstream.request().raw_head


def test_relative_socket_paths_start_at_the_configuration(launch, folder):
    inner = Upstream(folder / "api.sock")
    config = small("unix:api.sock")
    config["listeners"] = [{"address": "unix:front.sock"}]
    gateway = launch(config)
    assert gateway.get("/public/x").status == 200
    inner.close()


def test_ipv6_listener(launch, upstream):
    port = free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    gateway = launch({**small(upstream.endpoint), "listeners": [{"address": f"[::1]:{port}"}]})
    assert gateway.get("/public/x").status == 200
    request = upstream.request()
    assert request.get("X-Forwarded-For") == "::1"
    assert 'for="[::1]"' in request.get("Forwarded").lower()


def test_several_listeners(launch, folder, upstream):
    config = small(upstream.endpoint)
    config["listeners"] = [{}, {"address": "unix:second.sock"}]
    gateway = launch(config)
    assert gateway.get("/public/x").status == 200
    with Connection(folder / "second.sock") as connection:
        connection.send(request_bytes("GET", "/public/x"))
        assert connection.response().status == 200
