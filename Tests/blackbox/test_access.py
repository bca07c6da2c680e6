"""Scopes, claims, access kinds, claim headers: who may do what, and what the upstream is told."""

import json

import pytest
from harness.client import request_bytes
from harness.tokens import DROP, OTHER_ISSUER, SECRET, SECRET_ISSUER, claims, keys, mint

NBSP = "\u00a0"


def status(proxy, target, method="GET", **changes):
    return proxy.send(method, target, token=mint(**changes)).status


# Scopes.
@pytest.mark.parametrize("changes", [
    {"scope": "orders:read"}, {"scope": "x orders:read y"}, {"scope": "orders:read orders:read"},
    {"scope": "  orders:read  "}, {"scope": ["orders:read"]}, {"scope": ["a", "orders:read"]},
    {"scope": DROP, "scp": "orders:read"}, {"scope": DROP, "scp": ["orders:read"]},
    {"scope": "other", "scp": ["orders:read"]}, {"scope": 5, "scp": "orders:read"},
    {"scope": DROP, "realm_access": {"roles": ["orders:read"]}},
    {"scope": [1, None, "orders:read"]}, {"scope": None, "scp": ["orders:read"]},
], ids=lambda changes: "scope absent" if changes.get("scope") is DROP else json.dumps(changes))
def test_scope_is_found_in_every_configured_claim(proxy, changes):
    """Non-string members of a claim array are skipped: refusing would be safe as well, but the
    token does hold the scope."""
    assert status(proxy, "/orders/1", **changes) == 200


@pytest.mark.parametrize("scope", [
    "orders", "orders:rea", "orders:read2", "xorders:read", "orders:reader", "ORDERS:READ",
    "Orders:Read", "orders:read,orders:write", "a,orders:read", "a\torders:read", "orders:read\t",
    f"a{NBSP}orders:read", f"orders:read{NBSP}", "a\norders:read", "a\rorders:read",
    "a\u2028orders:read",
    "a;orders:read", "a|orders:read", "a+orders:read", "orders:read\0", "\0orders:read", "orders:*",
    "*", "", " ", "orders:read%20", "a%20orders:read", "orders:r\u200bead", "\ufefforders:read",
    "ｏrders:read", "orders\uff1aread", "orders:read\u0301", ["orders:read "], [" orders:read"],
    ["orders:read orders:write"], ["orders:rea", "d"], [["orders:read"]], [{"orders:read": True}],
    {"orders:read": True}, {"0": "orders:read"}, True, 1, None, [], [None], ["ORDERS:READ"],
    ["a,orders:read"],
], ids=lambda scope: ascii(json.dumps(scope)))
def test_scope_that_is_not_exactly_there_is_forbidden(proxy, scope):
    proxy.refuses(request_bytes("GET", "/orders/1", token=mint(scope=scope)), 403)


def test_missing_scope_claim_is_forbidden(proxy):
    assert status(proxy, "/orders/1", scope=DROP) == 403


@pytest.mark.parametrize("target, scope, expected", [
    ("/all/x", "a b", 200), ("/all/x", "b a c", 200), ("/all/x", "a", 403), ("/all/x", "b", 403),
    ("/any/x", "x", 200), ("/any/x", "y", 200), ("/any/x", "x y", 200), ("/any/x", "z", 403),
    ("/any/x", "", 403), ("/mixed/x", "a x", 200), ("/mixed/x", "y a", 200), ("/mixed/x", "a", 403),
    ("/mixed/x", "x y", 403),
])
def test_all_and_any_decide(proxy, target, scope, expected):
    assert status(proxy, target, scope=scope) == expected


def test_scopes_are_the_union_over_the_claims(proxy):
    assert status(proxy, "/all/x", scope="a", scp=["b"]) == 200
    assert status(proxy, "/mixed/x", scope="a", realm_access={"roles": ["x"]}) == 200


@pytest.mark.parametrize("method, scope, expected", [
    ("GET", "orders:read", 200), ("GET", "orders:write", 403), ("POST", "orders:write", 200),
    ("POST", "orders:read", 403), ("DELETE", "orders:write", 200), ("DELETE", "orders:read", 403),
])
def test_each_method_has_its_own_rule(proxy, method, scope, expected):
    assert status(proxy, "/orders/1", method, scope=scope) == expected


# Claim matchers.
GRANTED = {
    "scalar": [{"tenant": "acme"}],
    "number": [{"level": 3}, {"level": 3.0}, {"level": 30e-1}],
    "bool": [{"admin": True}],
    "equals": [{"tenant": "acme"}],
    "in": [{"tenant": "acme"}, {"tenant": "umbrella"}, {"tenant": 7}, {"tenant": 7.0}],
    "contains": [{"groups": ["staff"]}, {"groups": ["a", "staff"]}, {"groups": [1, {}, "staff"]}],
    "contains-number": [{"groups": [1]}, {"groups": ["1", 1.0]}],
    "present": [{"tenant": "x"}, {"tenant": ""}, {"tenant": False}, {"tenant": 0}, {"tenant": []},
                {"tenant": {}}],
    "absent": [{}, {"banned": None}],
    "pointer": [{"realm_access": {"roles": ["admin"]}}],
    "pointer-escape": [{"a/b": {"m~n": "x"}}],
    "pointer-index": [{"groups": ["staff", "x"]}],
    "url": [{"http://example.com/is_root": True}],
    "two": [{"tenant": "acme", "level": 3}],
}
FORBIDDEN = {
    "scalar": [{}, {"tenant": "Acme"}, {"tenant": "acme "}, {"tenant": "acme2"},
               {"tenant": ["acme"]},
               {"tenant": None}, {"tenant": {"acme": True}}, {"tenant": True}, {"tenant": ""}],
    "number": [{"level": "3"}, {"level": 4}, {"level": 3.0000001}, {"level": True}, {"level": [3]},
               {"level": None}, {"level": 1e308}, {"level": -3}],
    "bool": [{"admin": "true"}, {"admin": 1}, {"admin": False}, {"admin": None}, {"admin": [True]}],
    "equals": [{"tenant": "acm"}, {"tenant": ["acme"]}, {}],
    "in": [{"tenant": "7"}, {"tenant": "acm"}, {"tenant": ["acme"]}, {"tenant": None}, {},
           {"tenant": "acme,umbrella"}, {"tenant": "acme umbrella"}],
    "contains": [{"groups": "staff"}, {"groups": "a staff"}, {"groups": ["staffers"]},
                 {"groups": []},
                 {"groups": [["staff"]]}, {"groups": {"staff": True}}, {"groups": None}, {},
                 {"groups": ["Staff"]}],
    "contains-number": [{"groups": ["1"]}, {"groups": [True]}, {"groups": 1}, {"groups": [10]}],
    "present": [{}, {"tenant": None}],
    "absent": [{"banned": True}, {"banned": False}, {"banned": ""}, {"banned": 0}, {"banned": []}],
    "pointer": [{"realm_access": {"roles": "admin"}},
                {"realm_access": {"roles": ["administrator"]}},
                {"/realm_access/roles": ["admin"]}, {"realm_access/roles": ["admin"]},
                {"realm_access": ["admin"]}, {"realm_access": None}, {"roles": ["admin"]}, {}],
    "pointer-escape": [{"a": {"b": {"m~n": "x"}}}, {"a~1b": {"m~0n": "x"}}, {"/a~1b/m~0n": "x"}],
    "pointer-index": [{"groups": ["x", "staff"]}, {"groups": []}, {"groups": "staff"},
                      {"groups": {"00": "staff"}}, {"groups": {"1": "staff"}}],
    "url": [{"http://example.com/is_root": False},
            {"http:": {"": {"example.com": {"is_root": True}}}},
            {"is_root": True}, {"http://example.com/is_root": "true"}],
    "two": [{"tenant": "acme"}, {"level": 3}, {"tenant": "acme", "level": 2}, {}],
}


def rows(table):
    return [pytest.param(name, changes, id=f"{name} {json.dumps(changes)}")
            for name, listed in table.items() for changes in listed]


@pytest.mark.parametrize("name, changes", rows(GRANTED))
def test_claim_that_matches_is_allowed(proxy, name, changes):
    assert status(proxy, f"/claims/{name}", **changes) == 200


@pytest.mark.parametrize("name, changes", rows(FORBIDDEN))
def test_claim_that_does_not_match_is_forbidden(proxy, name, changes):
    data = request_bytes("GET", f"/claims/{name}", token=mint(**changes))
    response = proxy.refuses(data, 403)
    assert 'error="insufficient_scope"' in response.get("WWW-Authenticate")


# Audiences and issuers of a route.
@pytest.mark.parametrize("aud, expected", [
    ("https://second.test", 200), (["https://api.test", "https://second.test"], 200),
    ("https://api.test", 401), (["https://api.test"], 401), ("https://second.test/", 401)])
def test_route_audience_is_to_be_met_as_well(proxy, aud, expected):
    assert status(proxy, "/second/x", aud=aud) == expected


def test_route_admits_only_its_issuers(proxy):
    other = mint(key=keys().other, iss=OTHER_ISSUER)
    secret = mint(secret=SECRET, iss=SECRET_ISSUER)
    for token, target, expected in [
            (other, "/only-other/x", 200), (mint(), "/only-other/x", 401),
            (secret, "/only-other/x", 401), (secret, "/only-secret/x", 200),
            (other, "/only-secret/x", 401), (mint(), "/only-secret/x", 401)]:
        assert proxy.get(target, token).status == expected
    # Once verified for another route, a cached token is still not admitted here.
    assert proxy.get("/token/x", mint()).status == 200
    token = mint()
    assert [proxy.get(t, token).status for t in ("/token/x", "/only-other/x")] == [200, 401]


# Access kinds.
@pytest.mark.parametrize("fields", [
    {}, {"Authorization": "Bearer garbage"}, {"Authorization": "Basic eDp5"},
    {"Authorization": "Bearer"}, {"Authorization": "Bearer " + "x" * 3000}])
def test_public_route_reads_no_token(proxy, fields):
    assert proxy.get("/public/x", fields=fields).status == 200
    assert "Authorization" not in proxy.upstream.request().fields


def test_expired_token_on_a_public_route_is_not_read(proxy):
    assert status(proxy, "/public/x", exp=1) == 200


@pytest.mark.parametrize("target, token, expected", [
    ("/optional/x", None, 200), ("/optional/x", "good", 200), ("/optional/x", "bad", 401),
    ("/optional/x", "expired", 401), ("/optional-scoped/x", None, 200),
    ("/optional-scoped/x", "good", 200), ("/optional-scoped/x", "unscoped", 403),
    ("/optional-scoped/x", "bad", 401)])
def test_optional_route_takes_none_or_a_wholly_right_token(proxy, target, token, expected):
    made = {"good": mint, "bad": lambda: mint(key=keys().stranger), "expired": lambda: mint(exp=1),
            "unscoped": lambda: mint(scope="x"), None: lambda: None}[token]()
    assert proxy.get(target, made).status == expected


def test_optional_route_with_another_scheme_counts_as_no_token(proxy):
    fields = {"Authorization": "Basic eDp5"}
    assert proxy.get("/optional/x", fields=fields).status == 200
    assert "Authorization" not in proxy.upstream.request().fields


def test_optional_route_with_two_tokens_is_malformed(proxy):
    fields = [("Authorization", f"Bearer {mint()}"), ("Authorization", f"Bearer {mint()}")]
    proxy.refuses(request_bytes("GET", "/optional/x", fields=fields), 400)


# Audit mode.
def audit_tokens():
    return {
        "none": None, "scope": mint(scope="x", tenant="acme"), "claim": mint(tenant="other"),
        "expired": mint(exp=1, tenant="acme"), "forged": mint(key=keys().stranger, tenant="acme"),
        "garbage": "garbage", "audience": mint(aud="x", tenant="acme"), "issuer": mint(iss="x"),
    }


@pytest.mark.parametrize("case", list(audit_tokens()))
def test_audit_lets_pass_what_would_be_refused_and_says_so(proxy, case):
    response, line = proxy.logged("GET", "/audit/x", token=audit_tokens()[case])
    assert response.status == 200
    assert line["decision"] == "would_refuse" and line["reason"]
    assert "Authorization" not in proxy.upstream.request().fields


@pytest.mark.parametrize("case", ["none", "expired", "forged", "garbage", "audience", "issuer"])
def test_audit_gives_identity_from_a_verified_token_only(proxy, case):
    fields = {"X-Audit-Sub": "root"}
    assert proxy.get("/audit/x", audit_tokens()[case], fields=fields).status == 200
    assert "X-Audit-Sub" not in proxy.upstream.request().fields


def test_audit_of_an_allowed_request_is_an_ordinary_one(proxy):
    response, line = proxy.logged("GET", "/audit/x", token=mint(tenant="acme"))
    assert response.status == 200 and line.get("decision") != "would_refuse"
    assert proxy.upstream.request().get("X-Audit-Sub") == "alice"


@pytest.mark.parametrize("data, expected", [
    (request_bytes("GET", "/audit/../x"), 400), (request_bytes("GET", "/audit//x"), 400),
    (request_bytes("TRACE", "/audit/x"), 405), (b"GET /audit/x HTTP/1.1\r\n\r\n", 400)])
def test_audit_holds_what_is_not_about_tokens(proxy, data, expected):
    proxy.refuses(data, expected)


# Claim headers: HOSTILE row 12.
ENCODED = [
    ("alice", "alice"), ("a b", "a b"), ("100%", "100%25"), ("a,b", "a%2Cb"), (" a ", "%20a%20"),
    ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"), ("a\nb", "a%0Ab"), ("a\rb", "a%0Db"), ("a\0b", "a%00b"),
    ("a\tb", "a%09b"), ("é", "%C3%A9"), ("漢", "%E6%BC%A2"), ("😀", "%F0%9F%98%80"),
    ("\x7f", "%7F"), ("\x01", "%01"), ("a;b=c", "a;b=c"), ('a"b', 'a"b'), ("\u2028", "%E2%80%A8"),
    ("%0d%0a", "%250d%250a"), ("a  b", "a  b"), ("\u0085", "%C2%85"), ("-", "-"),
]


@pytest.mark.parametrize("value, expected", ENCODED, ids=lambda value: ascii(value))
def test_claim_text_is_encoded_into_one_field_value(proxy, value, expected):
    """Of several outer spaces each is encoded; inner spaces stand."""
    assert proxy.get("/identity/x", mint(sub=value)).status == 200
    request = proxy.upstream.request()
    assert request.get("X-Sub") == expected
    assert "X-Evil" not in request.fields


@pytest.mark.parametrize("value, expected", [
    (["a", "b"], "a,b"), (["a,b", "c"], "a%2Cb,c"), (["a"], "a"), ([1, True, "x"], "1,true,x"),
    (["é"], "%C3%A9"), (["a\r\nb", "c"], "a%0D%0Ab,c"), ([" a", "b "], "%20a,b%20"),
    ([False, 1.5], "false,1.5"), ([-7], "-7"),
], ids=lambda value: ascii(json.dumps(value)))
def test_array_claim_is_joined_by_commas(proxy, value, expected):
    assert proxy.get("/identity/x", mint(roles=value)).status == 200
    assert proxy.upstream.request().get("X-Roles") == expected


@pytest.mark.parametrize("text, expected", [
    ("3", "3"), ("3.0", "3.0"), ("1e2", "1e2"), ("-0", "-0"),
    ("12345678901234567890", "12345678901234567890"),
    ("true", "true"), ("false", "false"), ("0", "0"), ('"0"', "0")])
def test_scalar_claim_is_sent_as_written(proxy, text, expected):
    payload = json.dumps(claims())[:-1] + f',"any":{text}}}'
    assert proxy.get("/identity/x", mint(payload)).status == 200
    assert proxy.upstream.request().get("X-Any") == expected


@pytest.mark.parametrize("value", [{"a": 1}, {}, [], None, "", [["a"]], [{"a": 1}], ["a", ["b"]],
                                   DROP],
                         ids=lambda value: "absent" if value is DROP else json.dumps(value))
def test_claim_that_is_no_scalar_sends_no_header(proxy, value):
    fields = {"X-Any": "spoofed"}
    assert proxy.get("/identity/x", mint(any=value), fields=fields).status == 200
    assert "X-Any" not in proxy.upstream.request().fields


def test_pointer_claim_header(proxy):
    assert proxy.get("/identity/x", mint(address={"city": "Köln"})).status == 200
    assert proxy.upstream.request().get("X-City") == "K%C3%B6ln"


def test_claim_header_above_8_kib_is_forbidden(proxy):
    assert proxy.get("/identity/x", mint(any="x" * 8000)).status == 200
    proxy.upstream.reset()
    assert proxy.get("/identity/x", mint(any="x" * 8300)).status == 403
    assert proxy.get("/identity/x", mint(any="é" * 1400)).status == 403  # 1,400 × 6 > 8,192
    proxy.nothing_forwarded()


@pytest.mark.parametrize("token", [None, "good"])
def test_client_copies_of_claim_headers_never_arrive(proxy, token):
    spoofed = ["X-Sub", "x-sub", "X_Sub", "X.SUB", "x_roles", "X-Level", "x.city", "Remote-User",
               "Remote_User", "remote.user"]
    fields = [(name, "root") for name in spoofed]
    assert proxy.get("/identity/x", token and mint(), fields=fields).status == 200
    request = proxy.upstream.request()
    assert b"root" not in request.raw_head
    assert request.fields.all("X-Sub") == (["alice"] if token else [])
    assert request.fields.all("Remote-User") == (["alice"] if token else [])
