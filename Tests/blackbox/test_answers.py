"""Refusals as CONFIG's table says: exact challenges, problem documents, gRPC and text forms."""

import json

import pytest
from harness.client import request_bytes
from harness.tokens import DROP, keys, mint

REALM = 'Bearer realm="black box"'


def cases():
    """Name: request, status, reason code, challenge (None: none; a function judges it)."""
    stranger = keys().stranger

    def get(target, **more):
        return request_bytes("GET", target, **more)

    def invalid(challenge):
        return challenge.startswith(f'{REALM}, error="invalid_token"')

    def malformed(challenge):
        return challenge.startswith(f'{REALM}, error="invalid_request"')

    def scope(needed):
        def judge(challenge):
            return 'error="insufficient_scope"' in challenge and f'scope="{needed}"' in challenge
        return judge

    def no_scope(challenge):
        return 'error="insufficient_scope"' in challenge and "scope=\"" not in challenge.replace(
            'insufficient_scope"', "")

    two = [("Authorization", f"Bearer {mint()}")] * 2
    return {
        "no token": (get("/token/x"), 401, "no_token", REALM.__eq__),
        "other scheme": (get("/token/x", fields={"Authorization": "Basic eDp5"}), 401, "no_token",
                         REALM.__eq__),
        "two tokens": (get("/token/x", fields=two), 400, "bad_authorization", malformed),
        "empty bearer": (get("/token/x", fields={"Authorization": "Bearer "}), 400,
                         "bad_authorization", malformed),
        "bearer with a space inside": (
            get("/token/x", fields={"Authorization": "Bearer a b"}), 400, "bad_authorization",
            malformed),
        "expired": (get("/token/x", token=mint(exp=1000)), 401, "expired", invalid),
        "not yet valid": (get("/token/x", token=mint(nbf=4_000_000_000)), 401, "not_yet_valid",
                          invalid),
        "unknown issuer": (get("/token/x", token=mint(iss="https://evil.test/")), 401,
                           "unknown_issuer", invalid),
        "wrong audience": (get("/token/x", token=mint(aud="x")), 401, "wrong_audience", invalid),
        "unknown key": (get("/token/x", token=mint(header={"kid": "x"})), 401, "unknown_key",
                        invalid),
        "forged": (get("/token/x", token=mint(key=stranger, header={"kid": "rsa-1"})), 401,
                   "bad_signature", invalid),
        "wrong type": (get("/token/x", token=mint(header={"typ": "dpop+jwt"})), 401, "wrong_type",
                       invalid),
        "algorithm none": (get("/token/x", token=mint(header={"alg": "none"}, alg="RS256")), 401,
                           "bad_algorithm", invalid),
        "missing exp": (get("/token/x", token=mint(exp=DROP)), 401, "missing_claim", invalid),
        "broken json": (get("/token/x", token=mint("{")), 401, "bad_token", invalid),
        "scope": (get("/orders/1", token=mint(scope="x")), 403, "insufficient_scope",
                  scope("orders:read")),
        "scope all": (get("/all/x", token=mint(scope="a")), 403, "insufficient_scope",
                      scope("a b")),
        "scope any": (get("/any/x", token=mint(scope="a")), 403, "insufficient_scope",
                      scope("x y")),
        "scope all and any": (get("/mixed/x", token=mint(scope="x")), 403, "insufficient_scope",
                              scope("a x y")),
        "claim": (get("/claims/scalar", token=mint()), 403, "claim_mismatch", no_scope),
        "no route": (get("/nothing"), 404, "no_route", None),
        "method": (request_bytes("POST", "/get-only"), 405, "method_not_allowed", None),
        "path": (get("/public/../x"), 400, "bad_path", None),
        "request": (b"GET /public/x HTTP/1.1\r\n\r\n", 400, "bad_request", None),
        "too large": (request_bytes("POST", "/small/x", body=b"x" * 2000), 413, "too_large", None),
        "unreachable": (get("/down/x"), 502, "upstream_", None),
    }


CASES = list(cases())


def answered(proxy, case):
    data, status, reason, challenge = cases()[case]
    method = data.split(b" ")[0].decode()
    response = proxy.raw(data, method)
    assert response.status == status, str(response)
    return response, reason, challenge


@pytest.mark.parametrize("case", CASES)
def test_challenge_is_the_standards(proxy, case):
    response, _, challenge = answered(proxy, case)
    if challenge is None:
        assert "WWW-Authenticate" not in response.fields
    else:
        assert challenge(response.get("WWW-Authenticate")), response.get("WWW-Authenticate")


@pytest.mark.parametrize("case", CASES)
def test_body_is_a_problem_document(proxy, case):
    response, reason, _ = answered(proxy, case)
    assert response.get("Content-Type") == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status and problem["title"]
    assert reason in problem["type"], problem
    assert int(response.get("Content-Length")) == len(response.body)


@pytest.mark.parametrize("case", [case for case in CASES if case != "request"])
def test_problem_holds_the_requests_id_and_the_log_its_reason(proxy, case):
    data, status, reason, _ = cases()[case]
    identifier = f"id-{case.replace(' ', '-')}"
    data = data.replace(b"\r\n\r\n", f"\r\nX-Request-Id: {identifier}\r\n\r\n".encode(), 1)
    response = proxy.raw(data)
    assert identifier in response.json().values(), response.body
    line = proxy.log.find(identifier)
    assert line["status"] == status and line["reason"].startswith(reason)


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_told(proxy, case):
    data = cases()[case][0]
    response, _, _ = answered(proxy, case)
    for line in data.split(b"\r\n"):
        if line.lower().startswith(b"authorization: bearer ") and len(line) > 60:
            signature = line.rpartition(b".")[2][:40]
            assert signature not in response.raw_head + response.body
    for secret in (b"rsa-1", b"orders:write", b"jwks.json", b"127.0.0.1"):
        assert secret not in response.raw_head + response.body


@pytest.mark.parametrize("accept", ["text/plain", "text/plain, image/*", "text/plain;q=0.9",
                                    "Text/Plain"])
@pytest.mark.parametrize("case", ["no token", "scope", "no route"])
def test_plain_text_where_that_is_all_the_client_takes(proxy, case, accept):
    data, status, _, _ = cases()[case]
    data = data.replace(b"\r\n\r\n", f"\r\nAccept: {accept}\r\n\r\n".encode(), 1)
    response = proxy.raw(data)
    assert response.status == status
    assert response.get("Content-Type").startswith("text/plain")
    assert response.body and not response.body.startswith(b"{")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/problem+json",
                                    "text/plain, */*",
                                    "text/html,application/xhtml+xml,*/*;q=0.8", "application/*",
                                    "", "garbage;;;",
                                    "text/plain, application/problem+json"])
def test_problem_document_for_everyone_else(proxy, accept):
    response = proxy.get("/token/x", fields={"Accept": accept})
    assert response.get("Content-Type") == "application/problem+json"


@pytest.mark.parametrize("case, code", [
    ("no token", "16"), ("expired", "16"), ("forged", "16"), ("scope", "7"), ("claim", "7"),
    ("unreachable", "14")])
@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto",
                                  "application/grpc;x=y"])
def test_grpc_callers_are_answered_in_their_form(proxy, case, code, kind):
    """Trailers-only: status 200 and grpc-status among the header fields, without a body."""
    data = cases()[case][0].replace(
        b"\r\n\r\n", f"\r\nContent-Type: {kind}\r\nTE: trailers\r\n\r\n".encode(), 1)
    response = proxy.raw(data)
    assert response.status == 200
    assert response.get("grpc-status") == code
    assert response.get("Content-Type").startswith("application/grpc")
    assert response.body == b""


@pytest.mark.parametrize("kind", ["application/grpcx", "application/json", "text/application/grpc",
                                  "application/grpc-web-text-x"])
def test_other_content_types_are_not_taken_for_grpc(proxy, kind):
    if kind == "application/grpc-web-text-x":
        pytest.skip("gRPC-Web is neither named nor excluded by the contract")
    assert proxy.get("/token/x", fields={"Content-Type": kind}).status == 401


def test_refusal_keeps_the_connection_where_nothing_is_left_to_read(proxy):
    with proxy.connect() as connection:
        for _ in range(3):
            connection.send(request_bytes("GET", "/token/x"))
            assert connection.response().status == 401
        connection.send(request_bytes("GET", "/token/x", token=mint()))
        assert connection.response().status == 200


def test_refusal_of_head_has_no_body(proxy):
    with proxy.connect() as connection:
        connection.send(request_bytes("HEAD", "/token/x") + request_bytes("GET", "/public/x"))
        assert connection.response("HEAD").status == 401
        assert connection.response().status == 200


@pytest.mark.parametrize("identifier, kept", [
    ("abc", True), ("A.b_c-9", True), ("x" * 128, True), ("x" * 129, False), ("a b", False),
    ("a,b", False),
    ("a/b", False), ("é", False), ("", False), ("a\"b", False), ("<script>", False)])
def test_request_id_is_kept_or_made(proxy, identifier, kept):
    fields = {"X-Request-Id": identifier}
    assert proxy.get("/public/x", fields=fields).status == 200
    forwarded = proxy.upstream.request().get("X-Request-Id")
    assert (forwarded == identifier) == kept
    assert 1 <= len(forwarded) <= 128 and all(c.isalnum() or c in "._-" for c in forwarded)
    refusal = proxy.get("/token/x", fields=fields)
    if identifier:
        assert (identifier in json.loads(refusal.body).values()) == kept


def test_made_request_ids_differ(proxy):
    for _ in range(50):
        assert proxy.get("/public/x").status == 200
    assert len({r.get("X-Request-Id") for r in proxy.upstream.requests}) == 50


def test_two_request_ids_become_one(proxy):
    fields = [("X-Request-Id", "one"), ("X-Request-Id", "two")]
    assert proxy.get("/public/x", fields=fields).status == 200
    assert len(proxy.upstream.request().fields.all("X-Request-Id")) == 1


def test_realm_is_api_by_default(own):
    proxy = own()
    assert proxy.get("/token/x").get("WWW-Authenticate") == 'Bearer realm="api"'
