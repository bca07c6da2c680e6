"""The configuration that most tests share, and small ones for special cases."""

import json

from .tokens import AUDIENCE, ISSUER, OTHER_ISSUER, SECRET, SECRET_ISSUER, keys


def write_keys(folder):
    (folder / "jwks.json").write_text(json.dumps(keys().key_set()))
    (folder / "other.json").write_text(json.dumps({"keys": [keys().other.jwk()]}))
    (folder / "secret").write_bytes(SECRET + b"\n")


def issuer(key_file="jwks.json", **more):
    return {"issuer": ISSUER, "audiences": [AUDIENCE, "https://second.test"],
            "keys": {"file": key_file}, **more}


def small(endpoints, *routes, upstream=None, **more):
    """A public and a token route before one upstream; `upstream` adds keys to it."""
    if isinstance(endpoints, str):
        endpoints = [endpoints]
    return {
        "issuers": {"main": issuer()},
        "upstreams": {"api": {"endpoints": endpoints, **(upstream or {})}},
        "routes": [
            {"path": "/public/**", "access": "public", "upstream": "api"},
            {"path": "/token/**", "upstream": "api"},
            *({"upstream": "api", **route} for route in routes),
        ],
        "workers": 1,
        **more,
    }


MATCHERS = {
    "scalar": {"tenant": "acme"},
    "number": {"level": 3},
    "bool": {"admin": True},
    "equals": {"tenant": {"equals": "acme"}},
    "in": {"tenant": {"in": ["acme", "umbrella", 7]}},
    "contains": {"groups": {"contains": "staff"}},
    "contains-number": {"groups": {"contains": 1}},
    "present": {"tenant": {"present": True}},
    "absent": {"banned": {"present": False}},
    "pointer": {"/realm_access/roles": {"contains": "admin"}},
    "pointer-escape": {"/a~1b/m~0n": "x"},
    "pointer-index": {"/groups/0": "staff"},
    "url": {"http://example.com/is_root": True},
    "two": {"tenant": "acme", "level": 3},
}


def routes():
    """Listed shuffled on purpose: order in the file never decides."""
    claim_routes = [{"path": f"/claims/{name}", "claims": matcher}
                    for name, matcher in MATCHERS.items()]
    listed = [
        {"path": "/token/**", "name": "token"},
        {"path": "/optional/**", "access": "optional"},
        {"path": "/optional-scoped/**", "access": "optional", "scopes": ["orders:read"]},
        {"path": "/public/**", "access": "public", "name": "public"},
        {"path": "/orders/**", "methods": ["GET"], "scopes": ["orders:read"], "name": "read"},
        {"path": "/orders/**", "methods": ["POST", "DELETE"], "scopes": ["orders:write"]},
        {"path": "/all/**", "scopes": {"all": ["a", "b"]}},
        {"path": "/any/**", "scopes": {"any": ["x", "y"]}},
        {"path": "/mixed/**", "scopes": {"all": ["a"], "any": ["x", "y"]}},
        {"path": "/admin", "scopes": ["admin"]},
        {"path": "/admin/**", "scopes": ["admin"]},
        {"path": "/audit/**", "mode": "audit", "scopes": ["orders:read"],
         "claims": {"tenant": {"in": ["acme"]}}, "claimHeaders": {"X-Audit-Sub": "sub"}},
        {"path": "/second/**", "audiences": ["https://second.test"]},
        {"path": "/only-other/**", "issuers": ["other"]},
        {"path": "/only-secret/**", "issuers": ["secret"]},
        *claim_routes,
        {"path": "/identity/**", "access": "optional", "claimHeaders": {
            "X-Sub": "sub", "X-Roles": "roles", "X-City": "/address/city", "X-Level": "level",
            "X-Any": "any", "Remote-User": "sub"}},
        {"path": "/files", "access": "public"},
        {"path": "/files/{id}", "access": "public", "name": "file"},
        {"path": "/files/{id}/meta", "scopes": ["admin"], "name": "meta"},
        {"path": "/files/special", "scopes": ["admin"], "name": "special"},
        {"path": "/exact", "access": "public"},
        {"path": "/exact/slash/", "access": "public"},
        {"path": "/get-only", "access": "public", "methods": ["GET"]},
        {"path": "/head-own", "access": "public", "methods": ["GET"]},
        {"path": "/head-own", "methods": ["HEAD"], "scopes": ["admin"]},
        {"path": "/with-default", "access": "public", "methods": ["GET"]},
        {"path": "/with-default", "scopes": ["admin"]},
        {"path": "/options", "access": "public", "methods": ["OPTIONS", "PURGE"]},
        {"path": "/strip/one/**", "access": "public", "rewrite": {"stripPrefix": "/strip/one"}},
        {"path": "/add/**", "access": "public", "rewrite": {"addPrefix": "/v2"}},
        {"path": "/swap/**", "access": "public",
         "rewrite": {"stripPrefix": "/swap", "addPrefix": "/new"}},
        {"path": "/to-endpoint/**", "access": "public", "upstreamHost": "endpoint"},
        {"path": "/to-name/**", "access": "public", "upstreamHost": "internal.example"},
        {"path": "/forward-token/**", "forwardToken": True},
        {"path": "/forward-public/**", "access": "public", "forwardToken": True},
        {"path": "/headers/**", "access": "public",
         "requestHeaders": {"set": {"X-Set": "by-proxy", "X-Tenant.Id": "t1"},
                            "remove": ["X-Gone", "Cookie"]},
         "responseHeaders": {"set": {"X-Frame-Options": "DENY"}, "remove": ["Server", "X-Inner"]}},
        {"path": "/small/**", "access": "public", "maxBody": "1KiB"},
        {"path": "/parameters/**", "access": "public", "unsafePaths": ["parameters"]},
        {"path": "/encoded/**", "access": "public", "unsafePaths": ["encoded-slash"]},
        {"path": "/doubled/**", "access": "public", "unsafePaths": ["empty-segments"]},
        {"path": "/hosted", "host": "api.example.com", "access": "public", "name": "exact-host"},
        {"path": "/hosted", "host": "*.example.com", "scopes": ["admin"], "name": "wildcard"},
        {"path": "/hosted", "host": "*.deep.example.com", "access": "public", "name": "longer"},
        {"path": "/hosted/**", "host": "api.example.com", "scopes": ["admin"]},
        {"path": "/hosted/below", "access": "public", "name": "no-host"},
        {"path": "/ws/**", "scopes": ["orders:read"], "name": "ws"},
        {"path": "/ws-public/**", "access": "public"},
        {"path": "/down/**", "access": "public", "upstream": "down"},
    ]
    return [{"upstream": "api", **route} for route in reversed(listed)]


def standard(endpoint, dead_endpoint):
    return {
        "realm": "black box",
        "issuers": {
            "main": issuer(scopeClaims=["scope", "scp", "/realm_access/roles"]),
            "other": {"issuer": OTHER_ISSUER, "audiences": [AUDIENCE],
                      "keys": {"file": "other.json"}},
            "secret": {"issuer": SECRET_ISSUER, "audiences": [AUDIENCE],
                       "algorithms": ["HS256", "HS384", "HS512"],
                       "keys": {"secretFile": "secret"}},
        },
        "upstreams": {
            "api": {"endpoints": [endpoint]},
            "down": {"endpoints": [dead_endpoint], "timeouts": {"connect": "1s"}},
        },
        "routes": routes(),
        "workers": 2,
    }
