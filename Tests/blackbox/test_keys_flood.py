"""Floods of tokens that need a signature check: who sends them is turned away first, and others are
served."""

import socket
import threading
import time

import pytest
from harness.client import Connection, request_bytes
from harness.http2 import Client
from harness.standard import small
from harness.tokens import keys, mint

FORGED = [mint(key=keys().stranger_ec, header={"kid": "ec-256"}, sub=f"forged-{n}")
          for n in range(400)]


class From(Connection):
    """A connection from an address of the loopback network."""

    def __init__(self, source, address):
        super().__init__(address)
        self.sock.close()
        self.sock = socket.create_connection(address, timeout=8, source_address=(source, 0))
        self.reader.sock = self.sock

    def ask(self, token):
        self.send(request_bytes("GET", "/token/x", token=token))
        return self.response()


@pytest.fixture
def gateway(launch, upstream):
    return launch(small(upstream.endpoint, workers=1))


@pytest.fixture
def flood(gateway):
    """Forged tokens without a pause from one address; the answers so far."""
    answers, ended = [], threading.Event()

    def run(number):
        with From("127.0.0.2", gateway.address) as connection:
            n = number
            while not ended.is_set():
                response = connection.ask(FORGED[n % len(FORGED)])
                answers.append((response.status, response.get("Retry-After")))
                n += 24

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(24)]
    for thread in threads:
        thread.start()
    yield answers
    ended.set()
    for thread in threads:
        thread.join(5)


def test_other_addresses_are_served_beside_a_flood(gateway, flood):
    """New tokens of another address are verified in their turn, known ones at once."""
    known = mint(sub="known")
    with From("127.0.0.3", gateway.address) as connection:
        assert connection.ask(known).status == 200
        taken = []
        for n in range(30):
            began = time.monotonic()
            assert connection.ask(known).status == 200
            assert connection.ask(mint(sub=f"new-{n}")).status == 200
            taken.append(time.monotonic() - began)
    assert max(taken) < 1.5, sorted(taken)[-3:]
    assert {status for status, _ in flood} <= {401, 503}
    assert all(retry for status, retry in flood if status == 503)


def test_forged_tokens_of_many_streams_are_each_answered(gateway):
    with Client(gateway.address) as client:
        streams = [client.request("GET", "/token/x", token=token) for token in FORGED[:90]]
        statuses = {client.response(stream).status for stream in streams}
        assert statuses <= {401, 503} and 401 in statuses
        last = client.request("GET", "/token/x", token=mint(sub="after"))
        assert client.response(last).status == 200


def test_new_good_tokens_at_once_are_all_served(gateway):
    """A burst within the bounds of one address: verified elsewhere, in order on each connection."""
    tokens = [mint(key=keys().es256, sub=f"burst-{n}") for n in range(12)]
    connections = [From("127.0.0.4", gateway.address) for _ in tokens]
    for connection, token in zip(connections, tokens):
        connection.send(request_bytes("GET", "/token/a", token=token)
                        + request_bytes("GET", "/token/b", token=token))
    for connection in connections:
        assert [connection.response().status for _ in range(2)] == [200, 200]
        connection.close()


def test_clients_that_go_before_their_verification_are_forgotten(gateway):
    for _ in range(5):
        for token in FORGED[:30]:
            connection = From("127.0.0.5", gateway.address)
            connection.send(request_bytes("GET", "/token/x", token=token))
            connection.reset()
    gateway.assert_serves()
    assert gateway.get("/token/x", mint(sub="later")).status == 200
