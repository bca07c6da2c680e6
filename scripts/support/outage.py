"""An issuer's whole bad day, under load. See scripts/outage.

A good request bears a token of a key that the issuer had published when the request was due, after
the first keys had arrived; it must be answered 200. (A key first published inside a cool-down that
a storm has spent would be an exception; the script waits for the cool-down's end instead.) The load
pauses while the process is restarted, since nobody listens then; the first request after it is
good again.

What an issuer may be asked, by the rules, within T seconds:
  a scheduled look  after one that succeeded no earlier than 0.8 of `refresh` (a tenth ahead, a
                    tenth of jitter): 1 + T / (0.8 refresh)
  a retry           after the k-th failure in a row within [0.25 s, min(60 s, 2^(k-1) s)], evenly:
                    how many of those pauses fit is chance, so the script allows as many as fit
                    if each pause were half its mean, and two more
  an unknown key    one look for each cool-down, from start to start: 1 + T / unknownKeyCooldown;
                    none where no token of an unknown key was sent
  an operator       the script asks by hand twice at the start of each trouble
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/blackbox"))

from outage_load import Load, start_upstream  # noqa: E402

from harness import issuer as answers  # noqa: E402
from harness.gateway import Gateway, free_port, poll  # noqa: E402
from harness.issuer import Issuer  # noqa: E402
from harness.keyed import Keyed  # noqa: E402
from harness.standard import small  # noqa: E402
from harness.tokens import ec_key, mint  # noqa: E402

FLOOR, LONGEST = 0.25, 60


class Plan:
    """How long each part takes."""

    def __init__(self, options):
        short = options.short
        self.rate = options.rate or (500 if short else 2000)
        self.cooldown = 1 if short else 5
        self.refresh = 2 if short else 10
        self.timeout = 0.5 if short else 2
        self.alone = 1.5 if short else 6
        self.rotations = 3 if short else 6
        self.storm = 2000 if short else 10_000
        self.storm_rate = 1000 if short else 1000
        self.trouble = 2.5 if short else 20
        self.calm = 1.5 if short else 8


def retries(seconds):
    """How many looks fail within so many seconds at most, each pause at half its mean."""
    count, spent = 1, 0.0
    while True:
        spent += (FLOOR + min(LONGEST, 2 ** (count - 1))) / 2 / 2
        if spent > seconds:
            return count + 2
        count += 1


class Day:
    def __init__(self, plan, folder):
        self.plan = plan
        self.folder = folder
        self.upstream_port = free_port()
        self.upstream = start_upstream(self.upstream_port)
        port = free_port()
        # Forked before any thread runs here.
        self.load, self.bad = Load(port), Load(port, nice=10)
        self.keys = [ec_key("key-0")]
        self.issuer = Issuer(*self.keys, start=False)
        config = small(
            f"http://127.0.0.1:{self.upstream_port}", workers=2, stateDirectory="state",
            listeners=[{"address": f"127.0.0.1:{port}"}],
            admin={"address": f"127.0.0.1:{free_port()}"},
            issuers={"main": self.issuer.block(keys={
                "refresh": f"{self.plan.refresh}s", "timeout": f"{int(self.plan.timeout * 1000)}ms",
                "unknownKeyCooldown": f"{self.plan.cooldown}s"})})
        self.gateway = Keyed(Gateway(folder, config, start=False), None)
        self.earlier = {"fetches": 0, "unknownKeyFetches": 0}
        self.good = self.lost = 0
        self.missed = False
        self.minted = 0

    def tokens(self, *keys, count=400):
        """New ones each time: some are verified anew, and then known."""
        self.minted += 1
        return [mint(iss=self.issuer.name, key=keys[n % len(keys)], sub=f"{self.minted}-{n}")
                for n in range(count)]

    def counts(self):
        """Looks so far, those of processes before this one included."""
        status = self.gateway.status()
        return {name: status[name] + before for name, before in self.earlier.items()}

    def phase(self, name, run, *, allowed, unknown=0, good=True):
        """Runs one part and judges it. `allowed(seconds)` is what the rules allow of looks, without
        those for unknown keys, of which there may be `unknown`, a number or of the seconds."""
        before, seen, began = self.counts(), self.issuer.count(), time.monotonic()
        result = run()
        result = result or self.load.report()
        seconds = time.monotonic() - began
        after = self.counts()
        fetches = after["fetches"] - before["fetches"]
        caused = after["unknownKeyFetches"] - before["unknownKeyFetches"]
        most_caused = unknown(seconds) if callable(unknown) else unknown
        most = allowed(seconds) + most_caused
        failed = {what: n for what, n in result["answers"].items() if what != "200"}
        lost = sum(failed.values()) + result["in_flight"] if good else 0
        # What is in flight as a part ends is the next one's.
        if good and self.load_goes_on:
            lost = sum(failed.values())
        self.good += result["sent"] if good else 0
        self.lost += lost
        at_issuer = self.issuer.count() - seen
        wrong = lost > 0 or fetches > most or caused > most_caused or at_issuer > fetches + 1
        self.missed |= wrong
        print(f"{name:<34} {seconds:5.1f} s  good {result['sent'] if good else 0:>6} at "
              f"{result['rate']:5.0f}/s, lost {lost}; p99 {result['p99'] * 1000:.1f} ms, longest "
              f"{result['max'] * 1000:.0f} ms; looks {fetches} of {most}, for unknown keys "
              f"{caused} of {most_caused}; the issuer saw {at_issuer}"
              f"{'  MISSED ' + str(failed or '') if wrong else ''}", flush=True)

    load_goes_on = False

    def scheduled(self, seconds):
        return 1 + int(seconds / (0.8 * self.plan.refresh))

    def unknown(self, seconds):
        return 1 + int(seconds / self.plan.cooldown)

    def serve(self, *keys):
        """The load goes on with new tokens of these keys."""
        self.load.go(self.tokens(*keys), self.plan.rate)
        self.load_goes_on = True

    # The parts.
    def run(self):
        plan = self.plan
        self.gateway.gateway.start()
        self.phase("no issuer", self.without_issuer, good=False,
                   allowed=lambda s: retries(s), unknown=self.unknown)
        self.phase("arrival", self.arrival, good=False,
                   allowed=lambda s: 1 + retries(s), unknown=self.unknown)
        self.serve(*self.keys)
        self.phase("calm", lambda: time.sleep(plan.calm), allowed=self.scheduled)
        self.phase(f"{plan.rotations} rotations under load", self.rotations,
                   allowed=self.scheduled, unknown=plan.rotations)
        self.phase(f"storm of {plan.storm} unknown kids", self.storm,
                   allowed=self.scheduled, unknown=self.unknown)
        time.sleep(plan.cooldown)
        self.load.report()
        self.phase("rotation after the storm", self.rotation, allowed=self.scheduled, unknown=1)
        for name, answer in [("500s", answers.failing), ("HTML", answers.html),
                             ("hang", answers.hang), ("death", None)]:
            self.phase(name, lambda answer=answer: self.trouble(answer),
                       allowed=lambda s: 2 + self.scheduled(s) + retries(s))
        for name, kill in [("restart during death", False), ("killed during death", True)]:
            self.phase(name, lambda kill=kill: self.restart(kill), allowed=lambda s: 2 + retries(s))
        self.phase("return with another key", self.return_,
                   allowed=lambda s: 1 + self.scheduled(s) + retries(s), unknown=1)
        self.phase("calm", lambda: time.sleep(plan.calm), allowed=self.scheduled)
        self.load_goes_on = False
        rest = self.load.pause()
        self.lost += sum(n for what, n in rest["answers"].items() if what != "200")
        self.good += rest["sent"]
        self.missed |= self.lost > 0

    def without_issuer(self):
        """Tokens are answered 503 meanwhile, and the proxy says that it is not ready."""
        end = time.monotonic() + self.plan.alone
        token = self.tokens(*self.keys, count=1)[0]
        while time.monotonic() < end:
            if self.gateway.answer(token) != 503 or self.gateway.admin("/readyz").status != 503:
                self.fail("without an issuer the answer is 503")
            time.sleep(0.1)

    def arrival(self):
        self.issuer.start()
        token = self.tokens(*self.keys, count=1)[0]
        poll(lambda: self.gateway.answer(token) == 200, 20, "the first keys")

    def rotations(self):
        """Each begins after the cool-down that the last one began has passed."""
        for _ in range(self.plan.rotations):
            self.rotate()
            time.sleep(self.plan.cooldown + 0.1)

    def rotation(self):
        self.rotate()
        time.sleep(min(self.plan.cooldown, 2))

    def rotate(self):
        """Published beside the old key, used at once, and then alone."""
        new = ec_key(f"key-{self.minted}")
        tokens = self.tokens(self.keys[-1], new)
        only_new = self.tokens(new)
        self.issuer.publish(self.keys[-1], new)
        self.load.go(tokens, self.plan.rate)
        time.sleep(0.5)
        self.load.go(only_new, self.plan.rate)
        # What was due with the old key's tokens has been answered before that key goes.
        time.sleep(0.5)
        self.keys = [new]
        self.issuer.publish(new)

    def storm(self):
        """Each token with a kid of its own, beside the load."""
        plan = self.plan
        key = self.keys[-1]
        storm = [mint(iss=self.issuer.name, key=key, header={"kid": f"unknown-{n}"})
                 for n in range(plan.storm)]
        self.bad.report()
        self.bad.go(storm, plan.storm_rate)
        time.sleep(plan.storm / plan.storm_rate + 0.05)
        told = self.bad.pause()
        others = {what: n for what, n in told["answers"].items() if what not in ("401", "503")}
        print(f"  the storm: {told['answers']} at {told['rate']:.0f}/s", flush=True)
        if others or told["sent"] < 0.9 * plan.storm:
            self.fail(f"the storm was answered {told}")

    def trouble(self, answer):
        """From a good look on, which ends the last trouble's back-off, and another by hand that finds
        the new one. New tokens of the key there is come all the while."""
        self.issuer.behaves()
        self.gateway.looks_again()
        if answer is None:
            self.issuer.stop()
        else:
            self.issuer.behaves(answer)
        self.gateway.looks_again()
        end = time.monotonic() + self.plan.trouble
        while time.monotonic() < end:
            self.serve(*self.keys)
            time.sleep(min(1, max(0, end - time.monotonic())))

    def restart(self, kill):
        """While the issuer is dead; the first request that the new process takes is good."""
        self.load_goes_on = False
        result = self.load.pause()
        status = self.gateway.status()
        if kill:
            self.gateway.gateway.process.kill()
            self.gateway.gateway.process.wait()
        elif self.gateway.gateway.stop() != 0:
            self.fail("the process did not end well")
        for name in self.earlier:
            self.earlier[name] += status[name]
        self.gateway.gateway.start()
        if self.gateway.answer(self.tokens(*self.keys, count=1)[0]) != 200:
            self.fail("the first request after the restart was lost")
            self.lost += 1
        self.load.report()
        self.serve(*self.keys)
        time.sleep(self.plan.calm)
        after = self.load.report()
        for what, n in result["answers"].items():
            after["answers"][what] = after["answers"].get(what, 0) + n
        after["sent"] += result["sent"]
        return after

    def return_(self):
        """The issuer is back with another key, whose first token is good at once."""
        new = ec_key("returned")
        self.issuer.behaves()
        self.issuer.publish(*self.keys, new)
        tokens = self.tokens(new, *self.keys)
        self.issuer.start()
        self.load.go(tokens, self.plan.rate)
        time.sleep(self.plan.calm)
        self.keys = [new]

    def fail(self, why):
        print(f"MISSED: {why}", flush=True)
        self.missed = True

    def end(self):
        self.load.end()
        self.bad.end()
        self.upstream.kill()
        if self.gateway.gateway.stop() != 0:
            self.fail(f"the process did not end well:\n{self.gateway.gateway.output}")
        self.issuer.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="half a minute")
    parser.add_argument("--rate", type=int, help="good requests a second (2,000; short: 500)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bearward-outage-") as folder:
        day = Day(Plan(options), pathlib.Path(folder))
        try:
            day.run()
        finally:
            day.end()
    print(f"{day.good} good requests, {day.lost} lost; "
          f"{'a bar was MISSED' if day.missed else 'every bar is met'}")
    sys.exit(1 if day.missed else 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
