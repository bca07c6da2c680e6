"""Answers of issuers in all the forms that HTTP has, requests of all kinds that wait for one, and
what many looks leave behind."""

import json
import os
import pathlib
import socket
import time

import pytest
from harness import issuer as answers
from harness.certificates import Authority
from harness.client import request_bytes
from harness.frames import rst
from harness.gateway import poll
from harness.http2 import Client
from harness.issuer import KEYS, Close, chain, hang, message, serve_keys, slow
from harness.tls import server_context
from harness.tokens import ec_key
from test_websocket import SWITCH, UPGRADE

KEY = ec_key("answer")
NEXT = ec_key("next")


def whole(form):
    """An answer with the key set; `form(body)` returns its bytes."""
    def answer(issuer, look):
        return Close(form(json.dumps(issuer.key_set).encode()))
    return answer


def chunks(body, size=7):
    parts = [body[n:n + size] for n in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts)


FORMS = {
    "chunks": lambda b: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b)
                         + b"0\r\nX-Trailer: t\r\n\r\n"),
    "to the end": lambda b: b"HTTP/1.1 200 OK\r\n\r\n" + b,
    "HTTP/1.0": lambda b: b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(b) + b,
    "HTTP/1.0 to the end": lambda b: b"HTTP/1.0 200 OK\r\n\r\n" + b,
    "after interim ones": lambda b: (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(b) + b),
    "identity": lambda b: (b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(b) + b),
    "another type": lambda b: (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=x\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(b) + b),
    "no reason": lambda b: b"HTTP/1.1 200 \r\ncontent-length: %d\r\n\r\n" % len(b) + b,
    "kept": lambda b: (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(b) + b),
    "white space around": lambda b: (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n \r\n\t"
                                     % (len(b) + 5) + b + b"\n"),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_of_answer_is_read(issuers, keyed, form):
    issuer = issuers(KEY)
    issuer.behaves(whole(FORMS[form]), KEYS)
    gateway = keyed(main=issuer)
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_answer_in_single_octets_is_read(issuers, keyed):
    issuer = issuers(KEY)

    def octets(issuer, look):
        for octet in FORMS["chunks"](json.dumps(issuer.key_set).encode()):
            look.peer.send(bytes([octet]))
        return Close()

    issuer.behaves(octets, KEYS)
    assert keyed(main=issuer).answer(issuer.mint(KEY)) == 200


def test_kept_connection_does_not_hold_the_look_up(issuers, keyed):
    """The body's length says where it ends, whether the issuer closes or not."""
    issuer = issuers(KEY)

    def kept(issuer, look):
        body = json.dumps(issuer.key_set).encode()
        look.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return hang(issuer, look)

    issuer.behaves(kept, KEYS)
    began = time.monotonic()
    gateway = keyed(main=issuer)
    assert time.monotonic() - began < 4 and gateway.answer(issuer.mint(KEY)) == 200
    assert gateway.status()["failures"] == 0


@pytest.mark.parametrize("cut, expected", [(False, 200), (True, 503)])
def test_tls_answer_to_the_end_needs_its_end(issuers, keyed, folder, cut, expected):
    """Without `close_notify` nobody knows whether there was more (RFC 9112, section 9.8)."""
    root = Authority("Issuer Root")
    root.trust(folder, "root")
    issuer = issuers(KEY, tls=server_context(root.issue("127.0.0.1"), folder))

    def to_the_end(issuer, look):
        body = json.dumps(issuer.key_set).encode()
        return Close(b"HTTP/1.1 200 OK\r\n\r\n" + body, cut=cut)

    issuer.behaves(to_the_end)
    gateway = keyed(main=issuer.block(keys={"ca": "root.pem"}), wait=False)
    gateway.until(lambda status: status["keys"] or status["failures"], "the look's end")
    assert gateway.answer(issuer.mint(KEY)) == expected


def test_redirects_share_one_time(issuers, keyed):
    issuer = issuers(KEY)

    def slow_chain(issuer, look):
        issuer.released.wait(0.3)
        return chain(3)(issuer, look)

    issuer.behaves(slow_chain)
    gateway = keyed(main=issuer.block(keys={"timeout": "700ms"}), wait=False)
    began = time.monotonic()
    gateway.until_fault("timeout", seconds=3)
    assert time.monotonic() - began < 2


def test_conditional_look_after_a_restart(issuers, keyed):
    """The snapshot keeps the entity tag; 304 makes its keys fresh again."""
    issuer = issuers(KEY)
    issuer.etag = True
    gateway = keyed(main=issuer, options={"stateDirectory": "state"})
    fetched = gateway.status()["fetchedAt"]
    state = gateway.folder / "state"
    poll(lambda: list(state.glob("*.json")), 5, "the snapshot")
    assert gateway.gateway.stop() == 0
    time.sleep(1.1)
    gateway.gateway.start()
    gateway.until(lambda status: status.get("fetchedAt", 0) > fetched, "the confirmed keys")
    assert issuer.looks[-1].get("If-None-Match")
    assert gateway.answer(issuer.mint(KEY)) == 200


# Requests that wait.
def waiting(issuers, keyed, seconds=0.5, **more):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer, **more)
    issuer.publish(KEY, NEXT)
    issuer.behaves(slow(seconds), KEYS)
    return issuer, gateway


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PURGE"])
def test_methods_of_all_kinds_wait(issuers, keyed, method):
    issuer, gateway = waiting(issuers, keyed, 0.3)
    response = gateway.send(method, "/token/x", token=issuer.mint(NEXT))
    assert response.status == 200 and gateway.upstream.requests[-1].method == method


def test_upgrade_waits(issuers, keyed):
    issuer, gateway = waiting(issuers, keyed)

    def script(request, peer):
        peer.send(SWITCH)
        peer.send(peer.reader.take(4))

    gateway.upstream.script = script
    with gateway.connect() as connection:
        connection.send(request_bytes("GET", "/token/x", token=issuer.mint(NEXT),
                                      fields=UPGRADE) + b"ping")
        assert connection.response().status == 101
        assert connection.reader.take(4) == b"ping"


def test_upload_is_held_while_its_request_waits(issuers, keyed):
    """What a refused request sends is not taken without end; a good one's arrives whole."""
    issuer, gateway = waiting(issuers, keyed, 0.7)
    body = os.urandom(3 << 20)
    with Client(gateway.address) as client:
        stream = client.request("POST", "/token/x", token=issuer.mint(NEXT), body=body,
                                trailers=[("x-end", "yes")])
        assert client.response(stream).status == 200
    assert gateway.upstream.requests[-1].body == body


def test_stream_reset_while_waiting_leaves_the_others(issuers, keyed):
    issuer, gateway = waiting(issuers, keyed)
    with Client(gateway.address) as client:
        doomed = [client.request("GET", f"/token/{n}", token=issuer.mint(NEXT)) for n in range(5)]
        kept = client.request("GET", "/token/kept", token=issuer.mint(NEXT))
        for stream in doomed:
            client.send(rst(stream.id))
        assert client.response(kept).status == 200
        assert client.alive()
    assert [request.target for request in gateway.upstream.requests] == ["/token/kept"]


def test_http2_client_that_waits_for_many_keys_is_bounded(issuers, keyed):
    issuer, gateway = waiting(issuers, keyed, options={"workers": 1})
    issuer.behaves(hang, KEYS)
    with Client(gateway.address) as client:
        began = time.monotonic()
        streams = [client.request("GET", "/token/x",
                                  token=issuer.mint(KEY, header={"kid": f"none-{n}"}))
                   for n in range(90)]
        assert {client.response(stream).status for stream in streams} == {401}
        assert time.monotonic() - began < 3


def test_each_waiting_request_has_one_log_line(issuers, keyed):
    issuer, gateway = waiting(issuers, keyed, 0.3)
    for token, expected in [(issuer.mint(NEXT), 200), (issuer.mint(ec_key("no")), 401)]:
        response, line = gateway.logged("GET", "/token/x", token=token)
        assert response.status == line["status"] == expected
    assert line["reason"] == "unknown_key"


# What many looks leave behind.
def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.gateway.process.pid}/fd"))


def threads(gateway):
    return len(os.listdir(f"/proc/{gateway.gateway.process.pid}/task"))


def resident(gateway):
    status = pathlib.Path(f"/proc/{gateway.gateway.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


TROUBLES = {"fine": serve_keys, "500": answers.failing, "reset": answers.reset,
            "closed": answers.silence, "huge": answers.huge_chunked, "cut": answers.cut,
            "hang": answers.hang, "redirect": answers.redirect("http://127.0.0.2:1/"),
            "not HTTP": answers.not_http, "trickle": answers.trickle}


def test_many_looks_leave_nothing_behind(issuers, keyed):
    """Descriptors, threads and memory are those of the first looks after hundreds of bad ones."""
    made = {f"issuer-{n}": issuers(KEY) for n in range(len(TROUBLES))}
    keys = {"unknownKeyCooldown": "100ms", "timeout": "150ms"}
    blocks = {}
    for n, (name, issuer) in enumerate(made.items()):
        host = "localhost" if n % 2 else "127.0.0.1"
        blocks[name] = issuer.block(
            keys={**keys, "url": f"http://{host}:{issuer.port}{KEYS}"})
    gateway = keyed(options={"workers": 1}, **blocks)
    for issuer, answer in zip(made.values(), TROUBLES.values()):
        issuer.behaves(answer)

    def storm(seconds):
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            n += 1
            gateway.at_once([issuer.mint(KEY, header={"kid": f"{time.monotonic()}-{n}"})
                             for issuer in made.values()])

    storm(2)
    poll(lambda: threads(gateway) <= 8, 5, "idle threads")
    before = descriptors(gateway), threads(gateway), resident(gateway)
    looks = sum(issuer.count() for issuer in made.values())
    storm(6)
    poll(lambda: descriptors(gateway) <= before[0] + 3, 5, "the same descriptors")
    poll(lambda: threads(gateway) <= before[1] + 1, 5, "the same threads")
    assert sum(issuer.count() for issuer in made.values()) - looks > 40
    assert resident(gateway) < before[2] + 16 * 1024
    for issuer in made.values():
        assert gateway.answer(issuer.mint(KEY)) == 200


def test_descriptors_exhausted_fail_looks_only(issuers, keyed, launch):
    """Looks fail and are tried again; nothing ends."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert gateway.gateway.stop() == 0
    gateway.gateway.descriptors = 64
    gateway.gateway.start()
    gateway.until_keys()
    held = []
    try:
        for _ in range(80):
            held.append(socket.create_connection(gateway.address, timeout=2))
        time.sleep(1)
    finally:
        for each in held:
            each.close()
    poll(lambda: gateway.gateway.get("/public/x").status == 200, 10, "service")
    assert gateway.looks_again()["state"] == "fresh"
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_messages_hold_nothing_of_what_issuers_send(issuers, keyed):
    """Neither the log nor the status repeats what came from outside, but kids, escaped."""
    issuer = issuers(KEY)
    issuer.behaves(lambda i, look: message(
        {"MARK-body": 1}, "500 MARK-reason", fields=[("MARK-field", "MARK-value")]))
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault("status")
    issuer.behaves(answers.redirect("http://MARK.test/MARK"))
    gateway.looks_again()
    kid = "MARK-kid\x1b[2J\r\n\u2028"
    issuer.behaves()
    issuer.publish(KEY, NEXT.jwk(kid=kid), {"kty": "MARK-kty", "kid": kid})
    gateway.until_keys()
    document = gateway.admin("/status").body.decode()
    assert kid in gateway.kids() and "\x1b" not in document
    assert "MARK" not in gateway.written() and "MARK-body" not in document
