"""Where keys come from: a URL, or a discovery document; what is asked, believed and refused."""

import copy

import pytest
from harness.certificates import Authority
from harness.gateway import poll
from harness.issuer import KEYS, OIDC, RFC8414, chain, date, missing, redirect, says
from harness.keyed import check
from harness.standard import small
from harness.tls import server_context
from harness.tokens import AUDIENCE, ec_key

KEY = ec_key("source")
OTHER = ec_key("other")


def test_keys_from_a_url_verify(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert gateway.answer(issuer.mint(OTHER, header={"kid": KEY.kid})) == 401
    assert issuer.count() == 1


def test_what_a_look_asks(issuers, keyed):
    issuer = issuers(KEY)
    keyed(main=issuer.block(keys={"url": f"{issuer.keys_url}?v=1&x=%20"}))
    look = issuer.looks[0]
    assert look.get("Host") == f"127.0.0.1:{issuer.port}"
    assert look.get("Accept-Encoding") == "identity" and "json" in look.get("Accept")
    assert look.get("User-Agent").startswith("bearward") and look.get("Connection") == "close"
    for name in ("Authorization", "Cookie", "Referer", "If-None-Match", "Content-Length", "Via"):
        assert name not in look.fields


# Discovery.
@pytest.mark.parametrize("base", ["", "/", "/realms/demo", "/realms/demo/", "/a/b/v2.0"])
def test_discovery_finds_the_keys(issuers, keyed, base):
    issuer = issuers(KEY, base=base)
    gateway = keyed(main=issuer.block(discovery=True))
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert issuer.paths() == [f"{base.rstrip('/')}{OIDC}", KEYS]


@pytest.mark.parametrize("base, place", [
    ("", RFC8414), ("/realms/demo", f"{RFC8414}/realms/demo"),
    ("/realms/demo", f"{OIDC}/realms/demo"), ("/realms/demo/", f"{RFC8414}/realms/demo")])
def test_discovery_looks_at_the_other_places(issuers, keyed, base, place):
    """RFC 8414, section 3.1 puts the well-known part before the issuer's path."""
    issuer = issuers(KEY, base=base)
    issuer.at[place] = issuer.at.pop(f"{base.rstrip('/')}{OIDC}")
    gateway = keyed(main=issuer.block(discovery=True))
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert issuer.paths()[-2:] == [place, KEYS]


def test_keys_may_be_at_another_origin_than_the_document(issuers, keyed):
    issuer, store = issuers(), issuers(KEY)
    issuer.document["jwks_uri"] = store.keys_url
    gateway = keyed(main=issuer.block(discovery=True))
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_the_document_is_remembered(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(discovery=True, keys={"refresh": "300ms"}))
    issuer.wait(4)
    assert issuer.count(OIDC) == 1
    # Whoever asks by hand wants to know, and wants all.
    gateway.looks_again()
    assert issuer.count(OIDC) == 2


@pytest.mark.parametrize("how", ["token", "hand"])
def test_set_that_moved_while_the_old_place_still_serves_is_found(issuers, keyed, how):
    issuer = issuers(KEY)
    issuer.etag = True
    gateway = keyed(main=issuer.block(discovery=True))
    issuer.at["/moved"] = says({"keys": [KEY.jwk(), OTHER.jwk()]})
    issuer.document["jwks_uri"] = f"{issuer.url}/moved"
    if how == "hand":
        gateway.looks_again()
        poll(lambda: gateway.answer(issuer.mint(OTHER)) == 200, 5, "the keys in force")
    assert gateway.answer(issuer.mint(OTHER)) == 200
    assert issuer.count("/moved") == 1 and issuer.count(OIDC) == 2
    assert gateway.status()["unknownKeyFetches"] == (how == "token")


def test_unknown_keys_read_the_document_once_a_cool_down(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(discovery=True))
    tokens = [issuer.mint(KEY, header={"kid": f"none-{n}"}) for n in range(30)]
    assert set(gateway.at_once(tokens)) == {401}
    assert (issuer.count(), issuer.count(OIDC)) == (2, 2)


def test_moved_keys_are_found_again(issuers, keyed):
    """When the set cannot be had where the document said, the document is read again."""
    issuer = issuers(KEY)
    gateway = keyed(main=issuer.block(discovery=True, keys={"unknownKeyCooldown": "200ms"}))
    issuer.at["/moved"] = issuer.at[KEYS]
    issuer.at[KEYS] = missing
    issuer.document["jwks_uri"] = f"{issuer.url}/moved"
    issuer.publish(OTHER)
    for _ in range(3):
        gateway.looks_again()
        if gateway.kids() == [OTHER.kid]:
            break
    assert gateway.answer(issuer.mint(OTHER)) == 200


WRONG_DOCUMENTS = {
    "slash": ({"issuer": lambda i: i.name + "/"}, "issuer_mismatch"),
    "upper case": ({"issuer": lambda i: i.name.replace("http", "HTTP")}, "issuer_mismatch"),
    "other host": ({"issuer": "https://login.example.com"}, "issuer_mismatch"),
    "other name for the same": ({"issuer": lambda i: i.name.replace("127.0.0.1", "localhost")},
                                "issuer_mismatch"),
    "no issuer": ({"issuer": None}, None),
    "issuer is a list": ({"issuer": lambda i: [i.name]}, None),
    "issuer is a number": ({"issuer": 5}, None),
    "no jwks_uri": ({"jwks_uri": None}, "no_keys_url"),
    "jwks_uri is a number": ({"jwks_uri": 5}, "no_keys_url"),
    "jwks_uri is a list": ({"jwks_uri": lambda i: [i.keys_url]}, None),
    "jwks_uri is relative": ({"jwks_uri": KEYS}, "no_keys_url"),
    "jwks_uri is a file": ({"jwks_uri": "file:///etc/passwd"}, "no_keys_url"),
    "jwks_uri is ftp": ({"jwks_uri": "ftp://127.0.0.1/keys"}, "no_keys_url"),
    "jwks_uri has a user": ({"jwks_uri": lambda i: i.keys_url.replace("//", "//u:p@")},
                            "no_keys_url"),
    "jwks_uri in clear elsewhere": ({"jwks_uri": "http://192.0.2.1/keys"}, None),
}


@pytest.mark.parametrize("case", list(WRONG_DOCUMENTS))
def test_wrong_document_gives_no_keys(issuers, keyed, case):
    changes, reason = WRONG_DOCUMENTS[case]
    issuer = issuers(KEY)
    for name, value in changes.items():
        issuer.document[name] = value(issuer) if callable(value) else value
    if None in changes.values():
        issuer.document = {n: v for n, v in issuer.document.items() if v is not None}
    gateway = keyed(main=issuer.block(discovery=True), wait=False)
    fault = gateway.until_fault()
    assert reason in (None, fault["reason"]), fault
    assert issuer.count() == 0 and gateway.answer(issuer.mint(KEY)) == 503
    # It is looked at again, and the right document helps.
    issuer.document = {"issuer": issuer.name, "jwks_uri": issuer.keys_url}
    gateway.until_keys()
    assert gateway.answer(issuer.mint(KEY)) == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b'{"issuer":1}', b"null",
                                  b'{"issuer":"a","issuer":"b"}'])
def test_unreadable_document_gives_no_keys(issuers, keyed, body):
    issuer = issuers(KEY)
    issuer.behaves(says(body), OIDC)
    gateway = keyed(main=issuer.block(discovery=True), wait=False)
    gateway.until_fault()
    assert issuer.count() == 0 and gateway.answer(issuer.mint(KEY)) == 503


# Redirects.
STATUSES = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect",
            "308 Permanent Redirect"]


LOCATIONS = ["/there", "there", "./there", lambda i: f"{i.url}/there",
             lambda i: f"//127.0.0.1:{i.port}/there"]


@pytest.mark.parametrize("status, location", [
    *((status, "/there") for status in STATUSES),
    *((STATUSES[1], location) for location in LOCATIONS[1:])])
def test_redirect_within_the_origin_is_followed(issuers, keyed, status, location):
    issuer = issuers(KEY)
    issuer.at["/there"] = issuer.at[KEYS]
    issuer.behaves(redirect(location, status), KEYS)
    gateway = keyed(main=issuer)
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert issuer.paths() == [KEYS, "/there"]


def test_three_redirects_are_followed_and_four_are_not(issuers, keyed):
    three, four, loop = issuers(KEY), issuers(KEY), issuers(KEY)
    three.behaves(chain(3))
    four.behaves(chain(4))
    loop.behaves(redirect(KEYS))
    gateway = keyed(three=three, four=four, loop=loop, wait=False).until_keys("three")
    assert gateway.until_fault("too_many_redirects", name="four")
    assert gateway.until_fault("too_many_redirects", name="loop")
    assert gateway.answer(three.mint(KEY)) == 200 and gateway.answer(four.mint(KEY)) == 503
    assert "/hop4" not in four.paths()


@pytest.mark.parametrize("location", [
    "{other}/keys", "https://127.0.0.1:{port}/keys", "http://localhost:{port}/keys",
    "file:///etc/passwd", "http://u@127.0.0.1:{port}/keys", "", "javascript:x", "http://",
    "//evil.test/keys", "http:\\\\127.0.0.1:{port}\\keys"])
def test_redirect_elsewhere_is_not_followed(issuers, keyed, location):
    issuer, other = issuers(KEY), issuers(OTHER)
    issuer.behaves(redirect(location.format(other=other.url, port=issuer.port)), KEYS)
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault()
    assert other.count() == 0 and gateway.answer(issuer.mint(KEY)) == 503
    assert set(issuer.paths()) == {KEYS}


def test_redirect_without_a_location_gives_no_keys(issuers, keyed):
    issuer = issuers(KEY)
    issuer.behaves(says(b"", "302 Found"), KEYS)
    gateway = keyed(main=issuer, wait=False)
    gateway.until_fault()
    assert gateway.answer(issuer.mint(KEY)) == 503


# Freshness: when the next look is due, by what the issuer says; always earlier than that.
FRESHNESS = {
    "silent": ([], {}, 600),
    "max-age": ([("Cache-Control", "public, max-age=120")], {}, 120),
    "quoted": ([("Cache-Control", 'max-age="120"')], {}, 120),
    "less than a minute": ([("Cache-Control", "max-age=1")], {}, 60),
    "more than an hour": ([("Cache-Control", "max-age=86400")], {}, 3600),
    "enormous": ([("Cache-Control", "max-age=99999999999999999999999")], {}, 3600),
    "no-store": ([("Cache-Control", "no-store")], {}, 60),
    "no-cache": ([("Cache-Control", "max-age=600, no-cache")], {}, 60),
    "age": ([("Cache-Control", "max-age=600"), ("Age", "300")], {}, 300),
    "older than its age": ([("Cache-Control", "max-age=100"), ("Age", "2147483648")], {}, 60),
    "expires": ([("Date", date), ("Expires", lambda: date(200))], {}, 200),
    "expired": ([("Date", date), ("Expires", "0")], {}, 60),
    "malformed": ([("Cache-Control", "max-age=-5, max-age=x"), ("Age", "minus one")], {}, 600),
    "refresh bounds": ([("Cache-Control", "max-age=3600")], {"refresh": "2m"}, 120),
    "refresh where silent": ([], {"refresh": "20m"}, 1200),
    "refresh is no lower bound": ([("Cache-Control", "max-age=300")], {"refresh": "20m"}, 300),
}


def test_next_look_is_when_the_issuer_asks_for_it(issuers, keyed):
    made = {}
    for name, (fields, _, _) in FRESHNESS.items():
        made[name] = issuers(KEY)
        made[name].fields = [(f, v() if callable(v) else v) for f, v in fields]
    gateway = keyed(**{name: made[name].block(keys=keys)
                       for name, (_, keys, _) in FRESHNESS.items()})
    wrong = {}
    for name, (_, _, expected) in FRESHNESS.items():
        status = gateway.status(name)
        after = status["nextFetchAt"] - status["fetchedAt"]
        if not expected * 0.79 - 2 <= after <= expected:
            wrong[name] = (after, expected)
    assert not wrong


def test_unchanged_set_is_confirmed_by_its_entity_tag(issuers, keyed):
    issuer = issuers(KEY)
    issuer.etag = True
    gateway = keyed(main=issuer)
    before = gateway.status()
    gateway.looks_again()
    assert issuer.looks[-1].get("If-None-Match")
    after = gateway.status()
    assert [one["kid"] for one in after["keys"]] == [one["kid"] for one in before["keys"]]
    assert after["failures"] == 0
    issuer.publish(KEY, OTHER)
    gateway.looks_again()
    assert gateway.answer(issuer.mint(OTHER)) == 200


# TLS.
@pytest.fixture
def authority(folder):
    made = Authority("Issuer Root")
    made.trust(folder, "issuer-ca")
    return made


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("discovery", [False, True])
def test_https_issuer_is_verified_by_its_authority(issuers, keyed, folder, authority, host,
                                                   discovery):
    issuer = issuers(KEY, tls=server_context(authority.issue(host), folder), host=host)
    gateway = keyed(main=issuer.block(discovery=discovery, keys={"ca": "issuer-ca.pem"}))
    assert gateway.answer(issuer.mint(KEY)) == 200
    shaken = issuer.server.handshakes
    assert all(one.error is None for one in shaken)
    assert shaken[0].server_name == (host if host == "localhost" else None)


# What `check` says.
SOURCES = {
    "loopback": ({"url": "http://127.0.0.1:1/k"}, None),
    "loopback network": ({"url": "http://127.8.8.8/k"}, None),
    "loopback name": ({"url": "http://localhost:81/k"}, None),
    "loopback v6": ({"url": "http://[::1]:81/k"}, None),
    "https": ({"url": "https://login.example.com/.well-known/jwks.json"}, None),
    "https port": ({"url": "https://login.example.com:8443/k?x=y"}, None),
    "discovery": ({"discovery": True}, None),
    "settings": ({"url": "https://x.test/", "refresh": "5m", "timeout": "2s", "maxStale": "12h",
                  "unknownKeyCooldown": "1m"}, None),
    "unsafe clear": ({"url": "http://keys.example.com/k", "unsafePlainHTTP": True}, None),
    "clear": ({"url": "http://keys.example.com/k"}, "http"),
    "clear address": ({"url": "http://10.0.0.1/k"}, "http"),
    "clear that looks like loopback": ({"url": "http://127.0.0.1.example.com/k"}, "http"),
    "clear localhost.x": ({"url": "http://localhost.example.com/k"}, "http"),
    "no scheme": ({"url": "login.example.com/k"}, "url"),
    "ftp": ({"url": "ftp://login.example.com/k"}, "url"),
    "file": ({"url": "file:///etc/keys"}, "url"),
    "user": ({"url": "https://user:secret@login.example.com/k"}, "url"),
    "fragment": ({"url": "https://login.example.com/k#x"}, "url"),
    "space": ({"url": "https://login.example.com/a b"}, "url"),
    "empty": ({"url": ""}, "url"),
    "number": ({"url": 5}, "url"),
    "two sources": ({"url": "https://x.test/k", "discovery": True}, "one"),
    "source and file": ({"url": "https://x.test/k", "file": "jwks.json"}, "one"),
    "none": ({"refresh": "5m"}, "one"),
    "discovery is false": ({"discovery": False}, "discovery"),
    "secrets": ({"url": "https://x.test/k", "unsafeFetchedSecrets": True}, "not in this version"),
    "no such ca": ({"url": "https://x.test/k", "ca": "nothing.pem"}, "nothing.pem"),
    "timeout of nothing": ({"url": "https://x.test/k", "timeout": "0s"}, "timeout"),
    "refresh of nothing": ({"url": "https://x.test/k", "refresh": "0s"}, "refresh"),
    "file with refresh": ({"file": "jwks.json", "refresh": "5m"}, "refresh"),
    "misspelt": ({"url": "https://x.test/k", "maxstale": "1h"}, "maxStale"),
}


@pytest.mark.parametrize("case", list(SOURCES))
def test_check_judges_a_source(folder, case):
    keys, word = SOURCES[case]
    config = small("http://127.0.0.1:9", listeners=[{"address": "127.0.0.1:0"}])
    config["issuers"] = {"main": {"issuer": "https://login.example.com", "audiences": [AUDIENCE],
                                  "keys": copy.deepcopy(keys)}}
    done = check(folder, config)
    assert done.returncode == (78 if word else 0), done.stdout + done.stderr
    if word:
        assert word in done.stdout + done.stderr


def test_check_refuses_discovery_in_clear_text(folder):
    config = small("http://127.0.0.1:9", listeners=[{"address": "127.0.0.1:0"}])
    for name, expected in [("http://login.example.com", 78), ("http://127.0.0.1:81/x", 0),
                           ("urn:issuer", 78), ("login.example.com", 78)]:
        config["issuers"] = {"main": {"issuer": name, "audiences": [AUDIENCE],
                                      "keys": {"discovery": True}}}
        assert check(folder, config).returncode == expected, name


def test_changed_ca_file_is_taken_up(issuers, keyed, folder, authority):
    """Certificates of authorities change too; nobody restarts a proxy for them."""
    other = Authority("Next Root")
    issuer = issuers(KEY, tls=server_context(other.issue("127.0.0.1"), folder))
    gateway = keyed(main=issuer.block(keys={"ca": "issuer-ca.pem"}), wait=False)
    gateway.until_fault("tls")
    other.trust(folder, "issuer-ca")
    gateway.until_keys()
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 200, 5, "the issuer's keys")
