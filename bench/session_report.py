"""The Markdown and JSON of bench/session: what is held against the targets first, then each case's table."""

import json
from pathlib import Path

import report

NOTES = """
nginx runs on one core, one client at a time on the other. Within a case the clients take turns in each repetition;
figures are medians over the repetitions, "min–max" the least and the most, ratios are to the peer in the same repetition.

- CPU: what the kernel charged to the whole client process, user and system, divided by what it did; start, connections
  and end are in it.
- sleeps: how often the process gave its processor up to wait, for each thing it did. core busy: CPU over wall time.
- kB/connection: the peak of the resident set less that of a run at 64 connections, divided by the connections between.
- n/a: no run was sound.

Every run is checked: all responses 200 and whole, as many requests by nginx's count, the connections the case wants
(HTTP/2: exactly one was opened; many: at least 95% at once), handshakes full or resumed by nginx's log, files equal to
the server's. reqwest has HTTP/2 and rustls compiled in, as our session has, with the same rustls and aws-lc-rs; the
Rust programs but the `gannet` command use the system's allocator.
"""


def write(args, runs):
    """Writes bench-session.md and .json into args.out; returns the path of the former."""
    clients = {client.name: client for case in args.cases for client in case.clients if client.name in args.chosen}
    facts = {"command": report.command_line("bench/session"), **report.machine(),
             "versions": report.versions(clients.values())}
    summary = {case.name: summarise(case, runs) for case in args.cases}
    lines = ["# The session beside its peers", "", *report.fact_lines(facts), NOTES, *target_lines(args.cases, summary)]
    for case in args.cases:
        lines += [f"## {case.title}", "", *([case.note, ""] if case.note else [])]
        lines += [*table(case, [client for client in case.clients if client.name in clients], summary[case.name]), ""]
    lines += report.problem_lines(runs)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    document = {**facts, "summary": summary, "runs": [run.as_dict() for run in runs]}
    (out / "bench-session.json").write_text(json.dumps(document, indent=1) + "\n")
    path = out / "bench-session.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def summarise(case, runs):
    peers = {client.name: client.peer for client in case.clients}
    return report.summarise([run for run in runs if run.case == case.name], peers.get)


def target_lines(cases, summary):
    lines = ["## Against the targets", "",
             *report.head(["what", "ours", "peer's", "ratio", "min–max", "target", "met"])]
    for case in cases:
        clients = {client.name: client for client in case.clients}
        for target in case.targets:
            lines.append(report.row(target_cells(case, clients[target.client], target, summary[case.name])))
    return [*lines, ""] if any(case.targets for case in cases) else []


def target_cells(case, client, target, summary):
    """A row: what is bounded, our figure, the peer's, and whether the bound holds."""
    key = report.RATIOS.get(target.figure, target.figure)
    ours, theirs = (summary.get(name, {}).get(key) for name in (client.name, client.peer))
    bounded = ours if target.absolute else summary.get(client.name, {}).get(f"{target.figure}_ratio_to_{client.peer}")
    name = {"cpu": "CPU", "resident_kb": "resident"}.get(target.figure, target.figure)
    what = f"{case.title}: {name}" if client.name == "gannet" else f"{case.title}, {client.what}: {name}"
    if bounded is None:
        return [what, *["n/a"] * 4, bound(target), "n/a"]
    ratio = ["–", span(ours, 1)] if target.absolute else [f"{bounded[0]:.2f}", span(bounded)]
    return [what, amount(case, key, ours), amount(case, key, theirs), *ratio, bound(target),
            "yes" if bounded[0] <= target.limit else "**no**"]


def bound(target):
    return f"≤ {target.limit:g} kB" if target.absolute else f"≤ {target.limit:.2f}"


def amount(case, key, found):
    """A figure with its unit."""
    if found is None:
        return "n/a"
    if key == "resident_kb":
        return f"{found[0]:.1f} kB"
    divisor, unit = scale(case)
    return f"{found[0]:.1f} µs" if key in ("median_us", "p99_us") else f"{found[0] / divisor:.2f} {unit}"


def scale(case):
    """What CPU per unit is told in: (divisor of µs, its name)."""
    return (1_000, "ms") if case.unit == "100 MB" else (1, "µs")


def span(found, digits=2):
    return f"{found[1]:.{digits}f}–{found[2]:.{digits}f}"


def table(case, clients, summary):
    """Only the columns that somebody has a figure for."""
    divisor, unit = scale(case)
    columns = [
        (f"CPU {unit}/{case.unit}", "cpu_us_per_request", divisor, 2), (None, "cpu_us_per_request", divisor, 2),
        ("× peer", "cpu ratio", 1, 2), (None, "cpu ratio", 1, 2),
        ("user", "user_us_per_request", divisor, 2), ("sys", "sys_us_per_request", divisor, 2),
        ("median µs", "median_us", 1, 1), ("× peer", "median ratio", 1, 2), (None, "median ratio", 1, 2),
        ("p99 µs", "p99_us", 1, 1), ("× peer", "p99 ratio", 1, 2), (None, "p99 ratio", 1, 2),
        ("instructions", "instructions", 1, 0), ("× peer", "instructions ratio", 1, 2),
        ("sleeps", "sleeps_per_request", 1, 2), ("core busy %", "core_busy", 0.01, 0),
        (f"{case.unit}s/s" if case.unit != "100 MB" else "100 MB/s", "requests_per_second", 1, 0),
        ("peak MB", "peak_rss_mb", 1, 1), ("kB/connection", "resident_kb", 1, 1),
    ]

    def found(client, key):
        return summary.get(client.name, {}).get(key.replace(" ratio", f"_ratio_to_{client.peer}"))

    columns = [column for column in columns if any(found(client, column[1]) for client in clients)]
    yield from report.head(["client", *(title or "min–max" for title, *_ in columns)])
    for client in clients:
        yield report.row([client.what, *(cell(found(client, key), title is None, divisor, digits)
                                         for title, key, divisor, digits in columns)])


def cell(found, whole, divisor, digits):
    if found is None:
        return "n/a"
    shown = [f"{value / divisor:,.{digits}f}" for value in found]
    return f"{shown[1]}–{shown[2]}" if whole else shown[0]


def brief(case, run):
    """A run in a line, for who waits."""
    if run.instructions:
        return f"{run.instructions:10,.0f} instructions/{case.unit}"
    divisor, unit = scale(case)
    words = [f"{run.cpu() / divisor:8.2f} {unit}/{case.unit} (user {run.user_us / run.requests / divisor:.2f})",
             f"{run.rate():10,.1f}/s", f"{run.sleeps / run.requests:.2f} sleeps"]
    words += [f"{run.resident_kb:.1f} kB a connection"] if run.resident_kb else []
    words += [f"median {run.median_us:.1f} µs, p99 {run.p99_us:.1f} µs"] if run.median_us else []
    return ", ".join(words)
