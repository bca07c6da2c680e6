"""The tables, on the screen and in the README between its `<!-- bench -->` markers."""

import pathlib
import re
import subprocess

import contenders
from bench_rounds import MIB_PER_CPU_SECOND, excess

README = pathlib.Path(__file__).parents[2] / "README.md"
BETWEEN_MARKERS = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)
VERSIONS = {"nginx": ["-v"], "haproxy": ["-v"], "nghttpx": ["--version"]}


def versions():
    """Such as "nginx 1.22.1, HAProxy 2.6.12, nghttpx 1.52.0"."""
    found = []
    for name, option in VERSIONS.items():
        result = subprocess.run(
            [contenders.tool(name), *option], capture_output=True, text=True)
        number = re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr)
        shown = "HAProxy" if name == "haproxy" else name
        found.append(f"{shown} {number.group(0) if number else '?'}")
    return ", ".join(found)


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def relative(group):
    return "of " + (group.references[0] if len(group.references) == 1 else "the better peer")


def budget_lines(group):
    """What each budget's load costs beyond the others together, and whether that is short of it."""
    for budget in group.budgets:
        cost = excess(group.loads, budget)
        verdict = "misses" if cost > budget.most else "meets"
        compared = f"{abs(cost) / 1e3:.1f} µs {'more' if cost > 0 else 'less'}"
        yield (f"{budget.name} costs {compared} than {' and '.join(budget.others)}: "
               f"{verdict} {budget.most / 1e3:.1f} µs"), cost > budget.most


def screen(group, rows, rounds, fewest):
    work = f"{fewest / 1e9:.1f} GB" if group.unit is MIB_PER_CPU_SECOND else f"{fewest:,}"
    print(f"\n{group.title}: {rounds} rounds, at least {work} each")
    print(f"{'proxy':<42}{group.unit.title:>16}{'ratio':>8}{'spread':>9}  verdict")
    for row in rows:
        print(f"{row.name:<42}{shown(row.shown):>16}{row.ratio:>8.3f}"
              f"{row.spread * 100:>8.1f}%  {row.verdict}", flush=True)
    for line, _ in budget_lines(group):
        print(line, flush=True)


def markdown(group, rows):
    lines = [
        f"{group.title}:", "",
        f"| proxy | {group.unit.title} | {relative(group)} | spread | verdict |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        word = re.sub(r"^(meets|misses) ", r"\1 the bar of ", row.verdict)
        lines.append(f"| {row.name} | {shown(row.shown)} | {row.ratio:.2f} "
                     f"| {row.spread * 100:.1f} % | {word} |")
    lines += [f"\n{line}." for line, _ in budget_lines(group)]
    return "\n".join(lines) + "\n"


def write_readme(introduction, tables):
    text = README.read_text()
    body = "\n".join([introduction + "\n", *tables])
    README.write_text(BETWEEN_MARKERS.sub(lambda _: body, text))
