"""Rounds, ratios and verdicts.

A round drives every contender, in an order that rotates, with the same load, and divides the
proxy's time on a CPU by the work done. Ratios are taken within the round, to the peer that is the cheaper
over all rounds, since a virtual machine drifts over minutes. The verdict is the median of the
rounds; a spread (interquartile range over median) above 6 % is called inconclusive.
"""

import collections
import dataclasses
import statistics
import sys

MAX_SPREAD = 0.06
# A loaded machine gets less done in a second; it shall not make a round last for ever.
MOST_PASSES = 4


@dataclasses.dataclass
class Unit:
    """How a scenario's cost, nanoseconds a unit of work, is told."""

    title: str
    scale: float
    # Work per CPU time, more is better, instead of CPU time per work.
    is_rate: bool = False

    def shown(self, cost):
        return self.scale / cost if self.is_rate else cost / self.scale

    def ratio(self, cost, reference):
        return reference / cost if self.is_rate else cost / reference

    def meets(self, ratio, bar):
        return ratio >= bar if self.is_rate else ratio <= bar


MICROSECONDS = Unit("µs/request", 1e3)
PER_CPU_SECOND = Unit("per CPU second", 1e9, is_rate=True)
# Bytes a nanosecond are gigabytes a second.
MIB_PER_CPU_SECOND = Unit("MiB/CPU second", 1e9 / (1 << 20), is_rate=True)


@dataclasses.dataclass
class Row:
    name: str
    shown: float
    ratio: float
    spread: float
    verdict: str

    @property
    def is_short(self):
        return self.verdict.startswith(("misses", "inconclusive"))


def spread(values):
    if len(values) < 3:
        return 0.0
    quartiles = statistics.quantiles(values, n=4)
    return (quartiles[2] - quartiles[0]) / statistics.median(values)


def measure(loads, rounds, units):
    """A round is a few passes of about a second each, in rotating order: what the machine does to
    one of them it does to all, so a round's ratios feel its moods less than one long turn would.
    Returns the least work of one load in one round."""
    passes = max(_passes_for(load, units) for load in loads)
    fewest = sys.maxsize
    for number in range(rounds):
        spent, done = collections.Counter(), collections.Counter()
        for turn in range(passes):
            first = (number + turn) % len(loads)
            for load in loads[first:] + loads[:first]:
                cost, answered = load.run()
                spent[load.name] += cost
                done[load.name] += answered
        for load in loads:
            load.samples.append(spent[load.name] / done[load.name])
        fewest = min(fewest, *done.values())
        costs = "  ".join(f"{load.name} {load.samples[-1] / 1e3:.4g}" for load in loads)
        print(f"round {number + 1}/{rounds}: {costs}", flush=True)
    return fewest


def _passes_for(load, units):
    """A warm-up that tells how many passes a round takes, with a tenth to spare."""
    _, done = load.run()
    return min(MOST_PASSES, max(1, -(-units * 11 // (10 * done))))


def rows(loads, unit, references, bars):
    """One row for each load, in order. `references` are names; the cheapest of them is 1."""
    peers = [load for load in loads if load.name in references]
    reference = min(peers, key=lambda load: statistics.median(load.samples))
    return [_row(load, unit, reference, bars) for load in loads]


@dataclasses.dataclass
class Budget:
    """What one load may cost beyond the sum of others, in nanoseconds a unit of work."""

    name: str
    others: list
    most: float


def excess(loads, budget):
    """The median over the rounds, in nanoseconds."""
    samples = {load.name: load.samples for load in loads}
    others = zip(*(samples[name] for name in budget.others))
    return statistics.median(
        mine - sum(them) for mine, them in zip(samples[budget.name], others))


def _row(load, unit, reference, bars):
    ratios = [unit.ratio(mine, base) for mine, base in zip(load.samples, reference.samples)]
    # A reference's ratio to itself is 1; what it can show is how much its own samples vary.
    noise = spread(load.samples if load is reference else ratios)
    ratio = statistics.median(ratios)
    shown = unit.shown(statistics.median(load.samples))
    return Row(load.name, shown, ratio, noise, _verdict(load.name, ratio, noise, unit, bars))


def _verdict(name, ratio, noise, unit, bars):
    if name not in bars:
        return "reported"
    if noise > MAX_SPREAD:
        return "inconclusive"
    return f"{'meets' if unit.meets(ratio, bars[name]) else 'misses'} {bars[name]:.2f}"
