"""`stateDirectory`: a restart during an outage serves, from keys that are still trusted and from
nobody else's."""

import json
import os
import signal
import stat
import time

import pytest
from harness.gateway import free_port, poll
from harness.tokens import ec_key

KEY = ec_key("state")
NEXT = ec_key("next")
OPTIONS = {"stateDirectory": "state", "workers": 1}


@pytest.fixture
def start(keyed):
    """`start(main=issuer)`: a gateway with a state directory."""
    def make(**named):
        more = {**OPTIONS, **named.pop("options", {})}
        more["admin"] = {"address": f"127.0.0.1:{free_port()}"}
        return keyed(options=more, **named)
    return make


def files(folder):
    """Those that are whole, not ones that are being written."""
    return sorted(path for path in (folder / "state").rglob("*.json") if path.is_file())


def snapshots(folder, count=1):
    """The files, once there are that many."""
    return poll(lambda: len(found := files(folder)) >= count and found, 5, "the snapshots")


def restarted(gateway, kill=False):
    """The same process again."""
    if kill:
        gateway.gateway.process.send_signal(signal.SIGKILL)
        gateway.gateway.process.wait()
    else:
        assert gateway.gateway.stop() == 0
    gateway.gateway.start()
    return gateway


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("discovery", [False, True])
def test_restart_during_an_outage_serves(issuers, start, folder, kill, discovery):
    issuer = issuers(KEY)
    gateway = start(main=issuer.block(discovery=discovery))
    fetched = gateway.status()["fetchedAt"]
    snapshots(folder)
    issuer.stop()
    restarted(gateway, kill)
    # The first request is served, not one after some time.
    assert gateway.answer(issuer.mint(KEY)) == 200
    assert gateway.admin("/readyz").status == 200
    status = gateway.status()
    assert (status["obtainedFrom"], status["fetchedAt"]) == ("snapshot", fetched)
    issuer.start()
    issuer.publish(NEXT)
    gateway.until(lambda status: status["obtainedFrom"] == "fetch", "a look", seconds=15)
    poll(lambda: gateway.answer(issuer.mint(NEXT)) == 200, 5, "the fetched keys")
    assert gateway.answer(issuer.mint(KEY)) == 401


def test_snapshot_follows_a_rotation(issuers, start, folder):
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    snapshots(folder)
    issuer.publish(NEXT)
    gateway.looks_again()
    poll(lambda: NEXT.kid in files(folder)[0].read_text(), 5, "the rotated snapshot")
    issuer.stop()
    restarted(gateway)
    assert [gateway.answer(issuer.mint(key)) for key in (NEXT, KEY)] == [200, 401]


def test_bad_answers_never_become_snapshots(issuers, start, folder):
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    before = snapshots(folder)[0].read_bytes()
    issuer.publish()
    gateway.looks_again()
    assert files(folder)[0].read_bytes() == before
    issuer.stop()
    restarted(gateway)
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_snapshots_are_private(issuers, start, folder):
    issuer = issuers(KEY)
    start(main=issuer)
    for path in snapshots(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "127.0.0.1" not in path.name and "/" not in path.name
    assert stat.S_IMODE((folder / "state").stat().st_mode) == 0o700


def rewritten(path, change):
    """The snapshot with one member changed, its digest left as it was."""
    members = json.loads(path.read_text())
    change(members)
    path.write_text(json.dumps(members, separators=(",", ":")) + "\n")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied_directory(path):
    path.unlink()
    path.mkdir()


SPOILT = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "half": lambda path: path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2]),
    "one bit": flipped,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "twice": lambda path: path.write_bytes(path.read_bytes() * 2),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "HTML": lambda path: path.write_bytes(b"<html>"),
    "a bare key set": lambda path: path.write_text(json.dumps({"keys": [KEY.jwk()]})),
    "64 MB": lambda path: path.write_bytes(b" " * (64 << 20)),
    "no digest": lambda path: rewritten(path, lambda m: m.pop("sha256", None)),
    "younger than it is": lambda path: rewritten(path, lambda m: m.update(fetchedAt=m["fetchedAt"]
                                                                         + 10)),
    "with another's key": lambda path: path.write_text(
        path.read_text().replace(KEY.jwk()["x"], NEXT.jwk()["x"])),
    "a directory": emptied_directory,
    "a dangling link": lambda path: (path.unlink(), path.symlink_to("/nowhere/at/all")),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("case", list(SPOILT))
def test_spoilt_snapshot_is_as_if_there_were_none(issuers, start, folder, case):
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    path = snapshots(folder)[0]
    issuer.stop()
    assert gateway.gateway.stop() == 0
    SPOILT[case](path)
    gateway.gateway.start()
    assert gateway.answer(issuer.mint(KEY)) == 503
    assert gateway.answer(issuer.mint(NEXT, header={"kid": KEY.kid})) == 503
    gateway.gateway.assert_serves()
    issuer.start()
    gateway.until_keys()
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 200, 5, "the fetched keys")


def test_fifo_in_the_place_of_a_snapshot_does_not_hang_the_start(issuers, start, folder):
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    path = snapshots(folder)[0]
    assert gateway.gateway.stop() == 0
    path.unlink()
    os.mkfifo(path)
    gateway.gateway.start()
    gateway.until_keys()


def test_snapshots_of_two_issuers_are_not_taken_for_one_another(issuers, start, folder):
    first, second = issuers(KEY), issuers(NEXT)
    gateway = start(first=first, second=second)
    one, two = snapshots(folder, 2)
    assert gateway.gateway.stop() == 0
    first.stop()
    second.stop()
    texts = one.read_bytes(), two.read_bytes()
    one.write_bytes(texts[1])
    two.write_bytes(texts[0])
    gateway.gateway.start()
    for issuer in (first, second):
        for key in (KEY, NEXT):
            assert gateway.answer(issuer.mint(key)) == 503


CHANGES = {
    "another url": lambda block: block["keys"].update(url=block["keys"]["url"] + "?other"),
    "another issuer": lambda block: block.update(issuer=block["issuer"] + "/other"),
    "by discovery": lambda block: (block["keys"].pop("url"), block["keys"].update(discovery=True)),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_snapshot_belongs_to_issuer_and_source(issuers, start, folder, change):
    """Whoever configures another source does not mean the old one's keys."""
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    snapshots(folder)
    issuer.stop()
    assert gateway.gateway.stop() == 0
    config = json.loads(gateway.gateway.path.read_text())
    CHANGES[change](config["issuers"]["main"])
    gateway.gateway.path.write_text(json.dumps(config))
    gateway.gateway.start()
    name = config["issuers"]["main"]["issuer"]
    assert gateway.answer(issuer.mint(KEY, iss=name)) == 503


def test_snapshot_older_than_max_stale_is_not_trusted(issuers, start, folder):
    issuer = issuers(KEY)
    gateway = start(main=issuer.block(keys={"maxStale": "2s"}))
    snapshots(folder)
    issuer.stop()
    assert gateway.gateway.stop() == 0
    time.sleep(2.1)
    gateway.gateway.start()
    assert gateway.answer(issuer.mint(KEY)) == 503


def test_age_of_a_snapshot_counts_on(issuers, start, folder):
    """Keys end at maxStale after they were obtained, not after the restart."""
    issuer = issuers(KEY)
    gateway = start(main=issuer.block(keys={"maxStale": "4s"}))
    fetched = gateway.status()["fetchedAt"]
    snapshots(folder)
    issuer.stop()
    restarted(gateway)
    assert gateway.answer(issuer.mint(KEY)) == 200
    poll(lambda: gateway.answer(issuer.mint(KEY)) == 503, 8, "the end of the keys")
    assert time.time() - fetched < 6.5


def test_directory_that_cannot_be_made_stops_nothing(issuers, start, folder):
    (folder / "state").write_text("a file stands in the way")
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    assert gateway.answer(issuer.mint(KEY)) == 200
    gateway.looks_again()
    gateway.gateway.assert_serves()


def test_leftovers_of_a_crash_are_no_trouble(issuers, start, folder):
    issuer = issuers(KEY)
    gateway = start(main=issuer)
    path = snapshots(folder)[0]
    gateway.gateway.process.kill()
    gateway.gateway.process.wait()
    for suffix in (".tmp", ".new", "~"):
        path.with_name(path.name + suffix).write_bytes(b"half")
    issuer.stop()
    gateway.gateway.start()
    assert gateway.answer(issuer.mint(KEY)) == 200


def test_without_a_directory_nothing_is_kept(issuers, keyed, folder):
    issuer = issuers(KEY)
    gateway = keyed(main=issuer)
    issuer.stop()
    assert gateway.gateway.stop() == 0
    gateway.gateway.start()
    assert gateway.answer(issuer.mint(KEY)) == 503 and not (folder / "state").exists()
