"""CPU time of the proxy beside nginx, HAProxy and nghttpx, interleaved; see bench_rounds.py for the
method and bench_scenarios.py for what is measured."""

import argparse
import pathlib
import sys
import tempfile

import bench_fairness
import bench_renewal
import bench_report
import bench_rounds
import bench_scenarios
import bench_tokens
from demo_issuer import Issuer

RENEWAL = "renewal"
FAIRNESS = "fairness"
SCENARIOS = {**bench_scenarios.ALL, "tokens": bench_tokens.tokens}


def measure_scenario(name, options, issuer):
    """Yields each group with its rows."""
    rounds, share = (3, 0.25) if options.quick else (options.rounds, 1)
    with tempfile.TemporaryDirectory(prefix="bearward-bench-") as folder:
        # nginx started by root drops its worker to another user, who must reach the folder.
        pathlib.Path(folder).chmod(0o755)
        bench = bench_scenarios.Bench(options, issuer, folder)
        try:
            for group in SCENARIOS[name](bench):
                print(f"\n== {group.title}", flush=True)
                fewest = bench_rounds.measure(group.loads, rounds, int(group.least * share))
                rows = bench_rounds.rows(group.loads, group.unit, group.references, group.bars)
                bench_report.screen(group, rows, rounds, fewest)
                yield group, rows
        finally:
            bench.end()


def run(options):
    issuer, tables, short = Issuer(), [], []
    for name in options.only:
        if name in (RENEWAL, FAIRNESS):
            continue
        for group, rows in measure_scenario(name, options, issuer):
            tables.append(bench_report.markdown(group, rows))
            short += [f"{group.title}: {row.name}" for row in rows if row.is_short]
            short += [line for line, is_short in bench_report.budget_lines(group) if is_short]
    for name, run_alone in (RENEWAL, bench_renewal.run), (FAIRNESS, bench_fairness.run):
        if name not in options.only or options.peers:
            continue
        sentence, failed = run_alone(options, issuer)
        print(f"\n{sentence}")
        tables.append(f"{sentence}\n")
        short += [sentence] if failed else []
    if options.readme:
        machine = f"On a shared virtual machine with {len(bench_scenarios.CPUS)} cores"
        bench_report.write_readme(
            f"{machine} ({bench_report.versions()}, {options.rounds} rounds):", tables)
    for line in short:
        print(f"short of its bar: {line}")
    return short


def main():
    scenarios = [*SCENARIOS, RENEWAL, FAIRNESS]
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{bench_rounds.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the bearward executable")
    parser.add_argument("--only", nargs="+", choices=scenarios, default=scenarios)
    parser.add_argument("--quick", action="store_true", help="three short rounds, for a first look")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=5000, help="how many rotate")
    parser.add_argument("--peers", action="store_true", help="without Bearward")
    parser.add_argument("--readme", action="store_true", help="write the tables to README.md")
    parser.add_argument("--enforce", action="store_true", help="exit 1 when a bar is not met")
    options = parser.parse_args()
    if options.readme and (options.quick or options.peers or options.only != scenarios):
        parser.error("--readme wants the whole measurement")
    short = run(options)
    return 1 if short and options.enforce else 0


if __name__ == "__main__":
    sys.exit(main())
