"""A live OpenID provider of somebody else's making, by its whole authorization code flow."""

import os
import pathlib
import subprocess
import sys
import urllib.parse

import httpx
import pytest
from harness.gateway import free_port, poll

CLIENT = "black-box-client"
CALLBACK = "http://127.0.0.1:9/callback"


class Provider:
    """`oidc-provider-mock`; each start makes a new signing key."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.name = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = pathlib.Path(sys.executable).parent / "oidc-provider-mock"
        with open(self.folder / "provider.output", "ab") as output:
            self.process = subprocess.Popen(
                [command, "--port", str(self.port)], stdout=output, stderr=output,
                env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"})
        poll(self._answers, 20, "the provider")
        return self

    def _answers(self):
        try:
            return httpx.get(f"{self.name}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def login(self, subject):
        """The authorization code flow; the ID token, which is what this provider signs."""
        query = {"client_id": CLIENT, "redirect_uri": CALLBACK, "response_type": "code",
                 "scope": "openid email", "nonce": "n", "state": "s"}
        answer = httpx.post(f"{self.name}/oauth2/authorize", params=query, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        where = urllib.parse.urlparse(answer.headers["Location"])
        code = urllib.parse.parse_qs(where.query)["code"][0]
        answer = httpx.post(f"{self.name}/oauth2/token", auth=(CLIENT, "secret"), data={
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK})
        assert answer.status_code == 200, answer.text
        return answer.json()["id_token"]


@pytest.fixture
def provider(tmp_path):
    made = Provider(tmp_path)
    yield made.start()
    made.stop()


def block(provider):
    return {"issuer": provider.name, "audiences": [CLIENT], "keys": {"discovery": True}}


def test_tokens_of_a_live_provider_are_verified(provider, keyed):
    gateway = keyed({"path": "/named/**", "claimHeaders": {"X-Sub": "sub"}}, main=block(provider))
    token = provider.login("alice@example.com")
    assert gateway.get("/named/x", token).status == 200
    assert gateway.upstream.requests[-1].get("X-Sub") == "alice@example.com"
    head, payload, signature = token.split(".")
    forged = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    assert gateway.answer(f"{head}.{payload}.{forged}") == 401


def test_provider_that_changes_its_key_and_goes(provider, keyed):
    gateway = keyed(main=block(provider))
    first = provider.login("alice")
    assert gateway.answer(first) == 200
    # Dead: what was signed is still good.
    provider.stop()
    gateway.looks_again()
    assert gateway.answer(first) == 200
    # Back with another key. Its tokens name none, so only a look tells them from forged ones.
    provider.start()
    second = provider.login("bob")
    gateway.looks_again()
    poll(lambda: gateway.answer(second) == 200, 5, "the new key")
    poll(lambda: gateway.answer(first) == 401, 5, "the end of the key that is gone")


def test_provider_that_comes_late(tmp_path, keyed):
    provider = Provider(tmp_path)
    gateway = keyed(main=block(provider), wait=False)
    gateway.until_fault("unreachable")
    provider.start()
    try:
        token = provider.login("carol")
        poll(lambda: gateway.answer(token) == 200, 15, "the provider's keys")
    finally:
        provider.stop()
