"""The access log: one JSON line a request, with the true reason, and never a token."""

import json
import time

import pytest
from harness.client import request_bytes
from harness.gateway import poll
from harness.standard import small
from harness.tokens import keys, mint
from harness.upstream import Close


def holds(line, value):
    return value in json.dumps(line, ensure_ascii=False)


def test_an_allowed_request(proxy):
    response, line = proxy.logged("GET", "/orders/1?q=secret", token=mint(sub="user-4711"))
    assert response.status == 200
    assert line["status"] == 200 and line["route"] == "read"
    assert line["method"] == "GET" and line["path"] == "/orders/1"
    assert holds(line, "user-4711"), "the subject"
    assert "reason" not in line or line["reason"] in (None, "")


def test_a_refused_request(proxy):
    response, line = proxy.logged("GET", "/orders/1", token=mint(scope="x", sub="user-4711"))
    assert (response.status, line["status"], line["reason"]) == (403, 403, "insufficient_scope")
    assert line["route"] == "read" and holds(line, "user-4711")


def test_a_forged_token_gives_no_subject(proxy):
    """An unverified claim is not somebody's name."""
    token = mint(key=keys().stranger, header={"kid": "rsa-1"}, sub="victim-4711")
    response, line = proxy.logged("GET", "/orders/1", token=token)
    assert response.status == 401 and not holds(line, "victim-4711")


@pytest.mark.parametrize("target, fields", [
    ("/token/x", {}), ("/public/x", {}), ("/orders/1", {}), ("/token/x?access_token={t}", {}),
    ("/token/x", {"Cookie": "t={t}"}), ("/token/x", {"User-Agent": "{t}"}),
    ("/token/x", {"Referer": "http://x/?t={t}"}),
    ("/nothing", {}), ("/token/../x", {})])
@pytest.mark.parametrize("good", [True, False])
def test_a_token_is_never_logged(proxy, target, fields, good):
    token = mint() if good else mint(key=keys().stranger)
    fields = {name: value.replace("{t}", token) for name, value in fields.items()}
    target = target.replace("{t}", token)
    proxy.logged("GET", target, fields=fields, token=None if fields or "{t}" in target else token)
    signature = token.rpartition(".")[2]
    assert signature not in proxy.log.text()
    assert signature not in proxy.gateway.output


def test_lines_for_malformed_requests(proxy):
    def malformed():
        return [line for line in proxy.log.lines() if line.get("reason") == "bad_request"]

    before = len(malformed())
    proxy.raw(b"GARBAGE\r\n\r\n")
    line = poll(lambda: malformed()[before:], what="a line")[0]
    assert line["status"] == 400


@pytest.mark.parametrize("value", ['"', "\\", "{", "é", "\x80", "\t", "\x1b[31m"[1:], "</script>"])
def test_hostile_bytes_stay_inside_their_string(proxy, value):
    """Every line of the log must parse: the reader of this suite is strict."""
    before = len(proxy.log.lines())
    fields = [("User-Agent", f"a{value}b"), ("Referer", value), ("X-Request-Id", "quote")]
    assert proxy.get("/public/x?" + value.encode("latin-1").hex(), fields=fields).status == 200
    poll(lambda: len(proxy.log.lines()) > before)


def test_one_line_a_request(proxy):
    fields = {"X-Request-Id": "one-of-fifty"}
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x", fields=fields) * 50)
        for _ in range(50):
            assert connection.response().status == 200
    proxy.logged("GET", "/public/later")

    def count():
        return proxy.log.text().count("one-of-fifty")

    poll(lambda: count() >= 50)
    assert count() == 50


def test_a_cut_response_is_told_apart(proxy):
    """The client got a 200 head; the log says that it did not end well."""
    proxy.upstream.answers(Close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    identifier = "cut-short-response"
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/public/x", fields={"X-Request-Id": identifier}))
        connection.head()
        connection.reader.rest()
    assert proxy.log.find(identifier)["reason"].startswith("upstream_")


def test_upstream_refusals_are_not_ours(proxy):
    proxy.upstream.answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    response, line = proxy.logged("GET", "/token/x", token=mint())
    assert (response.status, line["status"]) == (403, 403)
    assert not line.get("reason")


def test_log_goes_to_standard_output_when_asked(launch, upstream):
    gateway = launch({**small(upstream.endpoint), "log": {"access": "stdout"}})
    assert gateway.get("/public/x", fields={"X-Request-Id": "to-stdout"}).status == 200
    line = poll(lambda: next((text for text in gateway.output.splitlines() if "to-stdout" in text),
                             None))
    assert json.loads(line)["status"] == 200


def test_log_can_be_off(launch, upstream):
    gateway = launch({**small(upstream.endpoint), "log": {"access": "off"}})
    assert gateway.get("/public/x", fields={"X-Request-Id": "nowhere"}).status == 200
    gateway.stop()
    assert "nowhere" not in gateway.output


def test_log_is_complete_after_the_end(launch, upstream):
    gateway = launch(small(upstream.endpoint))
    for number in range(200):
        assert gateway.get(f"/public/{number}").status == 200
    assert gateway.stop() == 0
    assert len(gateway.log.lines()) == 200


def test_a_full_log_disk_does_not_stop_service(launch, upstream):
    gateway = launch({**small(upstream.endpoint), "log": {"access": "/dev/full"}})
    for _ in range(300):
        assert gateway.get("/public/x").status == 200


def test_lines_come_without_waiting_for_more_traffic(proxy):
    start = time.monotonic()
    proxy.logged("GET", "/public/x")
    assert time.monotonic() - start < 5
