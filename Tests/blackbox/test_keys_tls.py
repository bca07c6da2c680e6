"""Issuers behind bad TLS: HOSTILE row 29. A look that fails, and never one in clear text."""

import socket

import pytest
from harness.certificates import DAY, Authority, now, self_signed
from harness.gateway import poll
from harness.issuer import hang
from harness.tls import clear_text, server_context
from harness.tokens import ec_key

KEY = ec_key("tls")
EXPIRED = {"not_before": now() - 30 * DAY, "not_after": now() - DAY}
# Name: the certificate, the host that is asked for and, where one is meant, what the fault says.
BAD = {
    "expired": (lambda root: root.issue("localhost", **EXPIRED), "localhost", "expired"),
    "not yet valid": (lambda root: root.issue("localhost", not_before=now() + DAY), "localhost",
                      "not yet valid"),
    "wrong host": (lambda root: root.issue("other.test"), "localhost", None),
    "wrong address": (lambda root: root.issue("127.0.0.2"), "127.0.0.1", None),
    "name for an address": (lambda root: root.issue("localhost"), "127.0.0.1", None),
    "address as a DNS name": (lambda root: root.issue(cn="127.0.0.1"), "127.0.0.1", None),
    "cn only": (lambda root: root.issue(cn="localhost"), "localhost", None),
    "cn beside other names": (lambda root: root.issue("other.test", cn="localhost"), "localhost",
                              None),
    "partial wildcard at the end": (lambda root: root.issue("local*"), "localhost", None),
    "partial wildcard at the start": (lambda root: root.issue("*host"), "localhost", None),
    "wildcard of everything": (lambda root: root.issue("*"), "localhost", None),
    "client's purpose": (lambda root: root.issue("localhost", usages=("client",)), "localhost",
                         "purpose"),
    "code's purpose": (lambda root: root.issue("localhost", usages=("code",)), "localhost",
                       "purpose"),
    "NUL in the name": (lambda root: root.issue("localhost\0.evil.test", cn="x"), "localhost",
                        None),
    "untrusted root": (lambda root: Authority("Nobody").issue("localhost"), "localhost", None),
    "root of the same name": (lambda root: Authority("Issuer Root", kind="p384").issue("localhost"),
                              "localhost", None),
    "self-signed": (lambda root: self_signed("localhost"), "localhost", None),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The certificates are made once."""
    root = Authority("Issuer Root")
    return root, {name: make(root) for name, (make, _, _) in BAD.items()}


def test_bad_certificates_give_no_keys(issuers, keyed, folder, stage):
    """All at once in one gateway, beside a good one that none of them disturbs."""
    root, leaves = stage
    root.trust(folder, "root")
    made = {name: issuers(KEY, tls=server_context(leaf, folder), host=BAD[name][1])
            for name, leaf in leaves.items()}
    made["good"] = issuers(KEY, tls=server_context(root.issue("localhost"), folder),
                           host="localhost")
    gateway = keyed(wait=False, **{name: each.block(keys={"ca": "root.pem"})
                                   for name, each in made.items()}).until_keys("good")
    assert gateway.answer(made["good"].mint(KEY)) == 200
    faults = {name: gateway.until_fault(name=name) for name in BAD}
    assert {name: fault["reason"] for name, fault in faults.items()} == dict.fromkeys(BAD, "tls")
    for name, (_, _, text) in BAD.items():
        assert text is None or text in faults[name]["text"], faults[name]
        assert made[name].looks == [], f"{name}: asked in spite of the certificate"
        assert clear_text(made[name].server.wires[0]) == b""
        assert gateway.answer(made[name].mint(KEY)) == 503


def test_authority_of_the_system_does_not_count_beside_ca(issuers, keyed, folder, stage):
    root, leaves = stage
    Authority("Somebody Else").trust(folder, "other")
    issuer = issuers(KEY, tls=server_context(root.issue("localhost"), folder), host="localhost")
    gateway = keyed(main=issuer.block(keys={"ca": "other.pem"}), wait=False)
    gateway.until_fault("tls")
    assert gateway.answer(issuer.mint(KEY)) == 503


def test_without_ca_a_private_root_is_not_trusted(issuers, keyed, folder, stage):
    root, _ = stage
    issuer = issuers(KEY, tls=server_context(root.issue("localhost"), folder), host="localhost")
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault("tls")


def test_clear_text_behind_https_gives_no_keys(issuers, keyed, folder):
    """The issuer speaks HTTP where TLS is asked for; nothing is asked in clear text."""
    issuer = issuers(KEY)
    secure = issuer.keys_url.replace("http:", "https:")
    gateway = keyed(main=issuer.block(keys={"url": secure}), wait=False)
    gateway.until_fault()
    assert issuer.looks == []


def test_a_good_set_outlives_an_expired_certificate(issuers, keyed, folder, stage):
    root, leaves = stage
    root.trust(folder, "root")
    issuer = issuers(KEY, tls=server_context(root.issue("localhost"), folder), host="localhost")
    gateway = keyed(main=issuer.block(keys={"ca": "root.pem"}))
    issuer.stop()
    issuer.tls = server_context(leaves["expired"], folder)
    issuer.start()
    gateway.looks_again()
    assert gateway.status()["lastFault"]["reason"] == "tls"
    assert gateway.answer(issuer.mint(KEY)) == 200


@pytest.mark.parametrize("versions", [("1.0",), ("1.1",), ("1.0", "1.1")])
def test_old_versions_give_no_keys(issuers, keyed, folder, stage, versions):
    root, _ = stage
    root.trust(folder, "root")
    tls = server_context(root.issue("localhost", kind="rsa2048"), folder, versions=versions)
    issuer = issuers(KEY, tls=tls, host="localhost")
    gateway = keyed(main=issuer.block(keys={"ca": "root.pem"}), wait=False)
    gateway.until_fault("tls")
    assert issuer.looks == []


def test_hang_in_the_handshake_ends_in_time(issuers, keyed, folder):
    """A port that takes connections and never shakes hands; the look's time holds."""
    issuer = issuers(KEY, start=False)
    with socket.create_server(("127.0.0.1", issuer.port), backlog=16):
        url = f"https://127.0.0.1:{issuer.port}/keys"
        gateway = keyed(main=issuer.block(keys={"url": url, "timeout": "300ms"}), wait=False)
        gateway.until_fault("timeout", seconds=3)


def test_hang_behind_tls_ends_in_time(issuers, keyed, folder, stage):
    root, _ = stage
    root.trust(folder, "root")
    issuer = issuers(KEY, tls=server_context(root.issue("localhost"), folder), host="localhost")
    issuer.behaves(hang)
    keys = {"ca": "root.pem", "timeout": "300ms"}
    gateway = keyed(main=issuer.block(keys=keys), wait=False)
    gateway.until_fault("timeout", seconds=3)
    issuer.behaves()
    gateway.until_keys()
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 200, 5, "the keys in force")
