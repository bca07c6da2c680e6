"""What operators see of keys: `/healthz`, `/readyz`, `/status`, `/metrics`; and a look by hand."""

import json
import re
import time

import pytest
from harness import issuer as answers
from harness.gateway import poll
from harness.issuer import slow
from harness.keyed import run
from harness.tokens import ec_key, keys, rsa_key

KEY = ec_key("seen")
RSA = rsa_key("rsa-seen")
WEAK = rsa_key("weak", bits=1024)


def test_status_tells_each_key(issuers, keyed):
    issuer = issuers(KEY, RSA.jwk(alg="RS256"), WEAK,
                     {"kty": "oct", "kid": "o", "k": "AAAA"})
    before = int(time.time())
    gateway = keyed(main=issuer)
    document = gateway.admin("/status")
    assert document.get("Content-Type") == "application/json"
    assert document.get("Cache-Control") == "no-store"
    assert document.json()["name"] == "bearward" and document.json()["ready"] is True
    status = gateway.status()
    now = int(time.time())
    assert status["source"] == issuer.keys_url and status["obtainedFrom"] == "fetch"
    assert status["state"] == "fresh" and before <= status["fetchedAt"] <= now
    assert now + 400 < status["nextFetchAt"] <= now + 600
    assert status["staleUntil"] == pytest.approx(status["fetchedAt"] + 86400, abs=2)
    assert (status["fetches"], status["failures"], status["unknownKeyFetches"]) == (1, 0, 0)
    first, second = status["keys"]
    assert (first["kid"], first["kty"], "alg" in first) == (KEY.kid, "EC", False)
    assert (second["kid"], second["kty"], second["alg"]) == (RSA.kid, "RSA", "RS256")
    for key in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key["thumbprint"])
        assert before <= key["firstSeen"] <= now and "lastUsed" not in key
    assert [(one["index"], one["kid"]) for one in status["skipped"]] == [(2, "weak"), (3, "o")]
    assert all(one["reason"] for one in status["skipped"])


def test_status_tells_last_use(issuers, keyed):
    issuer = issuers(KEY, RSA)
    gateway = keyed(main=issuer)
    assert gateway.answer(issuer.mint(RSA)) == 200
    assert gateway.answer(issuer.mint(KEY, signature=bytes(64))) == 401

    def used():
        return {key["kid"]: key.get("lastUsed") for key in gateway.status()["keys"]}

    poll(lambda: used()[RSA.kid], 5, "the key's last use")
    assert used()[KEY.kid] is None, "a forged signature is no use of a key"
    assert abs(used()[RSA.kid] - time.time()) < 10


def test_status_holds_no_secrets(issuers, keyed):
    """Nothing private is in there; of local sources it says what they are."""
    issuer = issuers(KEY)
    block = {"issuer": "https://secret.test/", "audiences": ["https://api.test"],
             "algorithms": ["HS256"], "keys": {"secretFile": "secret"}}
    file = {"issuer": "https://issuer.test/", "audiences": ["https://api.test"],
            "keys": {"file": "jwks.json"}}
    inline = {**file, "issuer": "https://inline.test/", "keys": {"jwks": keys().key_set()}}
    gateway = keyed(main=issuer, secret=block, file=file, inline=inline, wait=False)
    gateway.until_keys("main", "file", "inline")
    text = gateway.admin("/status").body.decode()
    assert "bearward-black-box-secret" not in text and KEY.jwk()["x"] not in text
    assert gateway.status("secret")["obtainedFrom"] == "secret"
    assert gateway.status("file")["obtainedFrom"] == "file"
    assert gateway.status("inline")["obtainedFrom"] == "inline"
    assert gateway.admin("/readyz").status == 200


def test_set_of_bad_keys_alone_tells_what_is_wrong_with_each(issuers, keyed):
    """Where nothing works, the reasons matter most."""
    issuer = issuers(WEAK, {"kty": "oct", "kid": "o", "k": "AAAA"})
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault("no_usable_key")
    gateway.until(lambda status: status["failures"] >= 3, "three looks")
    assert [one["reason"] for one in gateway.status()["skipped"]] == ["weak", "symmetric"]
    assert gateway.written().count("key skipped") == 2, "once, not for each look"
    table = run("keys", "--config", gateway.path)
    assert "skipped key 0 (weak): weak" in table.stdout and table.returncode == 1
    issuer.publish(KEY)
    gateway.until_keys()
    assert gateway.status()["skipped"] == []


BAD_FILES = {"missing": (None, "the file cannot be read"), "malformed": ("{", "is not JSON"),
             "no set": ("{}", "is not a JWK Set"),
             "no keys": ('{"keys":[]}', "no key of the set can be used")}


@pytest.mark.parametrize("case", list(BAD_FILES))
def test_file_without_keys_tells_why(keyed, folder, case):
    text, words = BAD_FILES[case]
    if text is not None:
        (folder / "bad.json").write_text(text)
    block = {"issuer": "https://file.test/", "audiences": ["https://api.test"],
             "keys": {"file": "bad.json"}}
    gateway = keyed(main=block, wait=False)
    missing, = gateway.admin("/readyz").json()["issuersWithoutKeys"]
    assert missing["issuer"] == "main" and words in missing["lastFault"]
    assert words in gateway.status()["lastFault"]["text"]
    assert words in run("keys", "--config", gateway.path).stdout
    # What comes later is told as well, and what helps.
    (folder / "bad.json").write_text(json.dumps({"keys": [WEAK.jwk()]}))
    told = gateway.until(lambda status: status["skipped"], "the reasons")
    assert told["skipped"][0]["reason"] == "weak"
    assert told["lastFault"]["reason"] == "no_usable_key"
    (folder / "bad.json").write_text(json.dumps({"keys": [KEY.jwk()]}))
    gateway.until_keys()
    assert gateway.admin("/readyz").status == 200


def test_manual_look(issuers, keyed):
    issuer, other = issuers(KEY), issuers(KEY)
    gateway = keyed(main=issuer, other=other)
    assert [(one["issuer"], one["outcome"]) for one in gateway.look("main")] \
        == [("main", "started")]
    issuer.wait(2)
    assert other.count() == 1
    assert gateway.look("main")[0]["outcome"] in ("tooSoon", "joined")
    assert {one["issuer"] for one in gateway.look()} == {"main", "other"}
    other.wait(2)
    assert gateway.admin("/keys/refresh?issuer=nobody", "POST").status == 404
    assert gateway.admin("/keys/refresh", "GET").status == 405


def test_manual_looks_join_one_in_flight(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.behaves(slow(1.5))
    outcomes = [gateway.look("main")[0]["outcome"] for _ in range(10)]
    assert outcomes[0] == "started" and set(outcomes[1:]) <= {"joined", "tooSoon"}
    assert issuer.count() == 2


def test_metrics_tell_keys_and_looks(issuers, keyed):
    issuer = issuers(KEY, RSA, WEAK)
    gateway = keyed(main=issuer)
    issuer.behaves(answers.failing)
    gateway.looks_again()
    response = gateway.admin("/metrics")
    assert response.get("Content-Type").startswith("text/plain; version=0.0.4")
    samples = dict(line.rsplit(" ", 1) for line in response.body.decode().splitlines()
                   if not line.startswith("#"))
    assert samples['bearward_keys_usable{issuer="main"}'] == "2"
    assert samples['bearward_keys_skipped{issuer="main"}'] == "1"
    assert int(samples['bearward_key_fetches_total{issuer="main"}']) >= 2
    assert int(samples['bearward_key_fetch_failures_total{issuer="main"}']) >= 1


def test_data_plane_knows_nothing_of_the_admin_listener(issuers, keyed):
    gateway = keyed(main=issuers(KEY))
    for target in ("/healthz", "/readyz", "/status", "/metrics", "/keys/refresh"):
        assert gateway.get(target).status == 404
        assert gateway.send("POST", target).status == 404
    assert gateway.admin("/public/x").status == 404 and gateway.admin("/token/x").status == 404


@pytest.mark.parametrize("fields, host", [
    ({"Origin": "https://evil.test"}, "localhost"), ({"Origin": "null"}, "localhost"),
    ({}, "evil.test"), ({}, "localhost.evil.test")])
@pytest.mark.parametrize("method, target", [("POST", "/keys/refresh"), ("GET", "/status")])
def test_browsers_and_rebound_names_are_refused(issuers, keyed, fields, host, method, target):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert gateway.admin(target, method, fields=fields, host=host).status == 403
    assert issuer.count() == 1


def test_listener_on_a_unix_socket(issuers, keyed):
    gateway = keyed(main=issuers(KEY), options={"admin": {"address": "unix:admin.sock"}})
    assert gateway.admin("/healthz").status == 200
