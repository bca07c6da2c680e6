"""One issuer for many tenants: a pattern, who is let in, and keys that are each tenant's own."""

import copy
import json
import time

import pytest
from harness.gateway import poll
from harness.issuer import OIDC, failing, hang, message
from harness.keyed import check
from harness.standard import small
from harness.tokens import AUDIENCE, DROP, ec_key

SHARED = ec_key("shared")


class Landlord:
    """An issuer at which every tenant has a document and keys of its own."""

    def __init__(self, issuer, *names):
        self.issuer = issuer
        self.pattern = f"{issuer.url}/{{tenant}}/v2.0"
        self.keys = {}
        for name in names:
            self.add(name)

    def name(self, tenant):
        return self.pattern.replace("{tenant}", tenant)

    def add(self, tenant, key=None):
        self.keys[tenant] = key or ec_key(f"of-{tenant}")
        where = f"/{tenant}/keys"
        document = {"issuer": self.name(tenant), "jwks_uri": self.issuer.url + where}
        self.issuer.at[f"/{tenant}/v2.0{OIDC}"] = lambda issuer, look: message(document)
        self.issuer.at[where] = lambda issuer, look: message(
            {"keys": [self.keys[tenant].jwk()]})

    def count(self, tenant):
        return self.issuer.count(f"/{tenant}/keys")

    def block(self, keys=None, **tenants):
        return {"issuer": self.pattern, "audiences": [AUDIENCE], "tenants": tenants,
                "keys": {"discovery": True, **(keys or {})}}

    def mint(self, tenant, key=None, **more):
        return self.issuer.mint(key or self.keys[tenant], iss=self.name(tenant), **more)


@pytest.fixture
def landlord(issuers):
    return Landlord(issuers(), "acme", "umbrella", "initech")


def test_listed_tenants_are_served_by_their_own_keys(landlord, keyed):
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella"]), wait=False)
    assert landlord.issuer.looks == [], "nobody asked for a tenant's keys yet"
    assert gateway.admin("/readyz").status == 200
    for tenant in ("acme", "umbrella"):
        # Discovered lazily, and good on its first request.
        assert gateway.answer(landlord.mint(tenant)) == 200
        assert gateway.status("main", tenant)["keys"][0]["kid"] == f"of-{tenant}"
    assert gateway.answer(landlord.mint("acme", landlord.keys["umbrella"])) == 401
    crossed = landlord.mint("acme", landlord.keys["umbrella"], header={"kid": "of-acme"})
    assert gateway.answer(crossed) == 401
    assert gateway.answer(landlord.mint("umbrella", sub="again")) == 200


FOREIGN = ["initech", "ACME", "acme ", "acm", "acmee", "acme/../umbrella", "acme%2e", "", ".", "..",
           "acme/x", "acme?x", "acme#", "a" * 129, "ac\nme", "\u0430cme", "*", "{tenant}", "acme\\",
           "acme%00", "@evil.test"]


@pytest.mark.parametrize("tenant", FOREIGN)
def test_other_tenants_are_unknown_issuers(landlord, keyed, tenant):
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella"]), wait=False)
    key = ec_key("x")
    response, line = gateway.logged("GET", "/token/x", token=landlord.mint(tenant, key))
    assert (response.status, line["reason"]) == (401, "unknown_issuer")
    assert landlord.issuer.looks == [], "a stranger causes no look"


@pytest.mark.parametrize("iss", [
    "{url}/acme/v2.0/", "{url}/acme/v1.0", "{url}/acme", "{url}//acme/v2.0", "{url}/x/acme/v2.0",
    "http://evil.test/acme/v2.0", "{url}.evil.test/acme/v2.0", "{url}/acme/v2.0?x", "acme", ""])
def test_what_is_not_the_pattern_is_unknown(landlord, keyed, iss):
    gateway = keyed(main=landlord.block(allow=["acme"]), wait=False)
    name = iss.format(url=landlord.issuer.url)
    token = landlord.issuer.mint(landlord.keys["acme"], iss=name)
    assert gateway.answer(token) == 401 and landlord.issuer.looks == []


@pytest.mark.parametrize("claims, expected", [
    ({"tid": "acme"}, 200), ({"tid": "umbrella"}, 401), ({"tid": "ACME"}, 401), ({}, 401),
    ({"tid": ["acme"]}, 401), ({"tid": None}, 401), ({"tid": 5}, 401), ({"tid": ""}, 401),
    ({"other": "acme"}, 401)])
def test_claim_rule_binds_the_tenant(landlord, keyed, claims, expected):
    gateway = keyed(main=landlord.block(claim="tid"), wait=False)
    assert gateway.answer(landlord.mint("acme", **claims)) == expected


def test_list_and_claim_rule_hold_both(landlord, keyed):
    gateway = keyed(main=landlord.block(allow=["acme"], claim="tid"), wait=False)
    for tenant, tid, expected in [("acme", "acme", 200), ("acme", "umbrella", 401),
                                  ("umbrella", "umbrella", 401), ("acme", DROP, 401)]:
        assert gateway.answer(landlord.mint(tenant, tid=tid)) == expected, (tenant, tid)


def test_document_of_another_tenant_gives_no_keys(landlord, keyed):
    landlord.issuer.at[f"/acme/v2.0{OIDC}"] = lambda issuer, look: message(
        {"issuer": landlord.name("umbrella"), "jwks_uri": f"{issuer.url}/umbrella/keys"})
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella"]), wait=False)
    token = landlord.mint("acme", landlord.keys["umbrella"])
    assert gateway.answer(token) == 503 and landlord.count("umbrella") == 0


def test_one_tenants_trouble_is_no_others(landlord, keyed):
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella", "initech"]), wait=False)
    landlord.issuer.at["/acme/keys"] = hang
    landlord.issuer.at["/umbrella/keys"] = failing
    statuses = gateway.at_once([landlord.mint(tenant) for tenant in
                                ("acme", "umbrella", "initech")])
    assert statuses == [503, 503, 200]
    # It ends by itself when the tenant's keys can be had.
    landlord.issuer.release()
    landlord.add("acme", landlord.keys["acme"])
    landlord.add("umbrella", landlord.keys["umbrella"])
    for tenant in ("acme", "umbrella"):
        poll(lambda: gateway.answer(landlord.mint(tenant)) == 200, 20, f"keys of {tenant}")


def test_rotation_is_each_tenants_own(landlord, keyed):
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella"]), wait=False)
    for tenant in ("acme", "umbrella"):
        assert gateway.answer(landlord.mint(tenant)) == 200
    landlord.add("acme", ec_key("fresh"))
    assert gateway.answer(landlord.mint("acme")) == 200
    assert (landlord.count("acme"), landlord.count("umbrella")) == (2, 1)


def test_strangers_do_not_push_held_tenants_out(issuers, keyed):
    """With a claim rule anybody can name tenants: what is held is bounded, who has keys stays."""
    landlord = Landlord(issuers(), "acme")
    gateway = keyed(main=landlord.block(claim="tid", max=5), wait=False)
    assert gateway.answer(landlord.mint("acme", tid="acme")) == 200
    for batch in range(4):
        names = [f"stranger-{batch}-{n}" for n in range(10)]
        gateway.at_once([landlord.mint(name, ec_key("x"), tid=name) for name in names])
    held = gateway.admin("/status").json()["issuers"]
    assert len([one for one in held if one.get("tenant")]) <= 5
    assert gateway.answer(landlord.mint("acme", tid="acme", sub="again")) == 200
    assert landlord.count("acme") == 1, "the tenant that is served was forgotten"


def test_names_that_strangers_make_up_are_not_looked_for_again(issuers, keyed):
    """No keys, no schedule: a look needs a token that asks for it."""
    landlord = Landlord(issuers(), "acme")
    gateway = keyed(main=landlord.block(claim="tid"), wait=False)
    names = [f"stranger-{n}" for n in range(15)]
    assert set(gateway.at_once(
        [landlord.mint(name, ec_key("x"), tid=name) for name in names])) == {503}
    poll(lambda: all("nextFetchAt" in one for one in gateway.admin("/status").json()["issuers"]),
         5, "the looks' end")
    looks = len(landlord.issuer.looks)
    assert looks <= 3 * 20
    time.sleep(3)
    assert len(landlord.issuer.looks) == looks
    # Nor do they write errors, or make metrics of their names.
    assert "stranger-1" not in gateway.admin("/metrics").body.decode()
    assert " error bearward" not in gateway.written()
    assert gateway.answer(landlord.mint("acme", tid="acme")) == 200
    assert 'tenant="acme"' in gateway.admin("/metrics").body.decode()


def test_tenant_whose_issuer_is_back_is_served_on_its_next_request(landlord, keyed):
    gateway = keyed(main=landlord.block(allow=["acme"]), wait=False)
    landlord.issuer.behaves(failing)
    assert gateway.answer(landlord.mint("acme")) == 503
    landlord.issuer.behaves()
    poll(lambda: gateway.answer(landlord.mint("acme")) == 200, 5, "the tenant's keys")


def test_tokens_that_nobody_verified_keep_no_place(issuers, keyed):
    """An issuer that has keys for whoever is named: places are for those who have good tokens."""
    landlord = Landlord(issuers(), "acme", *(f"stranger-{n}" for n in range(2)))
    gateway = keyed(main=landlord.block(claim="tid", max=2), wait=False)
    for n in range(2):
        name = f"stranger-{n}"
        assert gateway.answer(landlord.mint(name, ec_key("forged"), tid=name)) == 401

    def served():
        for n in range(2):
            gateway.answer(landlord.mint(f"stranger-{n}", ec_key("forged"), tid=f"stranger-{n}"))
        return gateway.answer(landlord.mint("acme", tid="acme")) == 200

    # After the ten seconds that a tenant has for its first good token.
    poll(served, 15, "the tenant with good tokens")


def test_more_tenants_than_are_held_wait_for_a_place(issuers, keyed):
    """Who is served is not pushed out by who comes later."""
    names = [f"tenant-{n}" for n in range(6)]
    landlord = Landlord(issuers(), *names)
    gateway = keyed(main=landlord.block(claim="tid", max=3), wait=False)
    statuses = [gateway.answer(landlord.mint(name, tid=name)) for name in names]
    assert statuses == [200] * 3 + [503] * 3
    held = gateway.admin("/status").json()["issuers"]
    assert len([one for one in held if one.get("tenant")]) <= 3
    assert [gateway.answer(landlord.mint(name, tid=name, sub="b")) for name in names[:3]] \
        == [200] * 3


@pytest.mark.parametrize("url", ["/{tenant}/keys", "/keys"])
def test_tenants_keys_by_url(landlord, keyed, url):
    """A set for each, or one set for all."""
    landlord.issuer.publish(SHARED)
    block = landlord.block(allow=["acme"])
    block["keys"] = {"url": landlord.issuer.url + url}
    gateway = keyed(main=block, wait=False)
    key = SHARED if url == "/keys" else landlord.keys["acme"]
    poll(lambda: gateway.answer(landlord.mint("acme", key)) == 200, 5, "the tenant's keys")
    assert gateway.answer(landlord.mint("acme", ec_key("nobody"))) == 401


def test_exact_issuer_wins_over_the_pattern(landlord, issuers, keyed):
    exact = issuers(SHARED)
    named = {"issuer": landlord.name("acme"), "audiences": [AUDIENCE],
             "keys": {"url": exact.keys_url}}
    gateway = keyed(exact=named, main=landlord.block(allow=["acme", "umbrella"]),
                    wait=False).until_keys("exact")
    assert gateway.answer(landlord.mint("acme", SHARED)) == 200
    assert gateway.answer(landlord.mint("acme")) == 401
    assert gateway.answer(landlord.mint("umbrella")) == 200


def test_restart_during_an_outage_serves_tenants(landlord, keyed):
    options = {"stateDirectory": "state", "workers": 1}
    gateway = keyed(main=landlord.block(allow=["acme", "umbrella"]), wait=False, options=options)
    assert gateway.answer(landlord.mint("acme")) == 200
    state = gateway.folder / "state"
    poll(lambda: any(path.is_file() for path in state.rglob("*")), 5, "the snapshot")
    landlord.issuer.stop()
    assert gateway.gateway.stop() == 0
    gateway.gateway.start()
    assert gateway.answer(landlord.mint("acme")) == 200
    assert gateway.answer(landlord.mint("umbrella")) == 503
    assert gateway.answer(landlord.mint("umbrella", landlord.keys["acme"])) == 503


RULES = {
    "list": ({"allow": ["acme"]}, None), "claim": ({"claim": "tid"}, None),
    "both": ({"allow": ["acme", "b-c.d_e"], "claim": "tid", "max": 10}, None),
    "neither": ({}, "allow"), "only max": ({"max": 10}, "allow"),
    "empty list": ({"allow": []}, "allow"), "not text": ({"allow": [5]}, "allow"),
    "dots": ({"allow": [".."]}, "tenant"), "slash": ({"allow": ["a/b"]}, "tenant"),
    "star": ({"allow": ["*"]}, "tenant"), "none held": ({"claim": "tid", "max": 0}, "max"),
}


@pytest.mark.parametrize("case", list(RULES))
def test_check_judges_tenants(folder, case):
    tenants, word = RULES[case]
    config = small("http://127.0.0.1:9", listeners=[{"address": "127.0.0.1:0"}])
    config["issuers"] = {"main": {
        "issuer": "https://login.example.com/{tenant}/v2.0", "audiences": [AUDIENCE],
        "tenants": copy.deepcopy(tenants), "keys": {"discovery": True}}}
    done = check(folder, config)
    assert done.returncode == (78 if word else 0), done.stdout + done.stderr
    assert word is None or word in done.stdout + done.stderr


@pytest.mark.parametrize("issuer, tenants", [
    ("https://login.example.com/v2.0", {"allow": ["a"]}),
    ("https://login.example.com/{tenant}/v2.0", None),
    ("https://login.example.com/{tenant}/{tenant}", {"allow": ["a"]}),
    ("https://{tenant}/v2.0", {"allow": ["a"]}), ("{tenant}", {"allow": ["a"]}),
    ("https://login.example.com/x{tenant}y", {"allow": ["a"]}),
    ("https://login.example.com/{other}/v2.0", {"allow": ["a"]})])
def test_check_refuses_patterns_that_are_none(folder, issuer, tenants):
    config = small("http://127.0.0.1:9", listeners=[{"address": "127.0.0.1:0"}])
    block = {"issuer": issuer, "audiences": [AUDIENCE], "keys": {"discovery": True}}
    config["issuers"] = {"main": {**block, **({"tenants": tenants} if tenants else {})}}
    done = check(folder, config)
    assert done.returncode == 78, json.dumps(config["issuers"]) + done.stdout
