"""`bearward keys`: what operators ask beside a running server, and without one."""

import json

from harness.keyed import run
from harness.tokens import ec_key, rsa_key

KEY = ec_key("seen")
RSA = rsa_key("rsa-seen")
WEAK = rsa_key("weak", bits=1024)


def tell(gateway, *options):
    """`bearward keys` beside the running server, or without it."""
    return run("keys", "--config", gateway.path, *options)


def test_command_tells_what_the_server_knows(issuers, keyed):
    issuer, dead = issuers(KEY, RSA.jwk(alg="RS256"), WEAK), issuers(KEY, start=False)
    gateway = keyed(main=issuer, dead=dead, wait=False).until_keys("main")
    done = tell(gateway)
    assert done.returncode == 1, "an issuer has no keys"
    for word in ("main", "dead", issuer.keys_url, KEY.kid, RSA.kid, "EC", "RSA", "RS256", "weak"):
        assert word in done.stdout, done.stdout
    assert issuer.count() == 1, "telling is not looking"
    document = json.loads(tell(gateway, "--json").stdout)
    assert {one["issuer"] for one in document["issuers"]} == {"main", "dead"}
    dead.start()
    gateway.until_keys("dead")
    assert tell(gateway).returncode == 0


def test_command_has_the_server_look_again(issuers, keyed):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.publish(KEY, RSA)
    done = tell(gateway, "--refresh")
    assert done.returncode == 0 and RSA.kid in done.stdout, done.stdout + done.stderr
    assert issuer.count() == 2


def test_command_looks_itself_where_no_server_runs(issuers, keyed):
    issuer, dead = issuers(KEY), issuers(KEY)
    gateway = keyed(main=issuer, dead=dead)
    assert gateway.gateway.stop() == 0
    dead.stop()
    done = tell(gateway)
    assert done.returncode == 1 and KEY.kid in done.stdout, done.stdout + done.stderr
    assert issuer.count() == 2
    dead.start()
    assert tell(gateway).returncode == 0


def test_command_refuses_a_bad_configuration(folder):
    (folder / "bad.json").write_text('{"issuers": 5}')
    assert run("keys", "--config", folder / "bad.json").returncode == 78
    assert run("keys", "--config", folder / "missing.json").returncode == 78


def test_command_prints_no_controls_of_others(issuers, keyed):
    """A kid comes from outside; it must not reach the terminal as it is."""
    evil = "evil\x1b[2J\r\n\u202e\x07" + "k" * 2000
    issuer = issuers(KEY, RSA.jwk(kid=evil))
    gateway = keyed(main=issuer)
    done = tell(gateway)
    assert done.returncode == 0 and "evil" in done.stdout
    assert not set("\x1b\r\x07\u202e") & set(done.stdout) and "k" * 1000 not in done.stdout


def test_command_asks_a_unix_socket(issuers, keyed):
    gateway = keyed(main=issuers(KEY), options={"admin": {"address": "unix:admin.sock"}})
    assert KEY.kid in tell(gateway).stdout
