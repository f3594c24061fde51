"""What a row costs in a short and in a long job: CPU and peak memory of `gannet fetch` from files of both lengths, as
rows are counted, written, and written with the run state kept; beside reqwest and the usual aiohttp program.

Called by bench/rows, which has built the command and the peers and started nginx.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

import report
from compare import CLIENTS
from measuring import (ROOT, WORK, Run, Status, check_served, measured, remove_output, require_files, spread)

OUT = WORK / "rows.jsonl"
BASE, SLOW = "reqwest", "aiohttp"
NAMES = ["gannet-fetch", "gannet-fetch-stdout", "gannet-fetch-os", "gannet-fetch-jsonl", BASE, SLOW]
NOTES = """
nginx runs on one core and serves a 210-byte JSON body from memory; one client at a time runs on the other. `gannet
fetch` and aiohttp read a file of different URLs on one host; reqwest asks one URL again and again and keeps nothing.
With `-o` the run state is kept, synced in groups; `--durability os` leaves the syncing to the system. CPU is that of
the whole process, user and system, start and end included, divided by the rows. Clients and lengths take turns within
each repetition; the figures are medians over the repetitions, "min–max" the least and the most, and ratios are taken
within each repetition. "peak MB" is the largest resident set, in 10^6 bytes. Every run is checked: exit code 0 (every
row ok), as many requests by nginx's count as rows, and as many lines in the output.
"""


def arguments():
    parser = argparse.ArgumentParser(prog="bench/rows", description="What a row costs in a short and in a long job.",
                                     epilog=f"Clients: {','.join(NAMES)}. aiohttp makes at most 50,000 requests.")
    parser.add_argument("--quick", action="store_true",
                        help="1,000 and 20,000 rows, 2 repeats, results in bench/.work: to see that it works")
    parser.add_argument("--few", type=int, help="rows of the short job (10000)")
    parser.add_argument("--many", type=int, help="rows of the long job (1000000)")
    parser.add_argument("--repeats", type=int, help="interleaved repetitions (3)")
    parser.add_argument("--connections", type=int, default=64, help="requests at once (64)")
    parser.add_argument("--only", default=",".join(NAMES), help="comma-separated names of clients (all)")
    parser.add_argument("--out", help="where rows.md and rows.json go (docs/results)")
    args = parser.parse_args()
    few, many, repeats = (1_000, 20_000, 2) if args.quick else (10_000, 1_000_000, 3)
    args.few, args.many, args.repeats = args.few or few, args.many or many, args.repeats or repeats
    if min(args.few, args.many, args.repeats, args.connections) < 1:
        parser.error("every number must be at least 1")
    if unknown := set(args.only.split(",")) - set(NAMES):
        parser.error(f"no client named {', '.join(sorted(unknown))}; there are: {','.join(NAMES)}")
    args.clients = [client for client in CLIENTS if client.name in args.only.split(",")]
    args.out = Path(args.out or (WORK / "results" if args.quick else ROOT / "docs/results"))
    return args


def lengths(args, client):
    return sorted({min(rows, client.enough) for rows in (args.few, args.many)})


def run_once(args, status, client, rows, repetition):
    # The sockets are not asked about: a short job may end between two looks at nginx.
    run = Run(client.name, 0, repetition, rows)
    measured(status, run, client.command(args.connections, rows), lambda stdout: client.count(stdout, rows))
    check_served(run)
    remove_output(OUT)
    figure = run.problem or f"{run.cpu():8.2f} µs/row {peak(run):7.1f} MB"
    print(f"{repetition + 1}/{args.repeats} {client.name:<20} {rows:>9,} rows {figure}", file=sys.stderr)
    return run


def peak(run):
    return run.max_rss_kib * 1024 / 1e6


def sound_runs(runs, client, rows):
    """By repetition."""
    own = (run for run in runs if run.client == client.name and run.requests == rows and not run.problem)
    return {run.repetition: run for run in own}


def ratios(runs, others):
    """The CPU per row of each run to that of the other in the same repetition."""
    return [runs[at].cpu() / others[at].cpu() for at in runs.keys() & others.keys()]


def shown(values, digits=2):
    if not values:
        return "n/a"
    middle, low, high = spread(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def client_lines(client, runs, args):
    """A table of both lengths, then the ratio long to short."""
    lines = [f"## {client.what}, {args.connections} connections", "",
             *report.head(["rows", "CPU µs/row", "min–max", "user", "sys", "peak MB", "min–max", "rows/s"])]
    sound = {rows: sound_runs(runs, client, rows) for rows in lengths(args, client)}
    for rows, by_repetition in sound.items():
        own = by_repetition.values()
        if not own:
            lines.append(report.row([f"{rows:,}", *["n/a"] * 7]))
            continue
        cpu, high = spread([run.cpu() for run in own]), spread([peak(run) for run in own])
        user, system, rate = (spread(values)[0] for values in (
            [run.user_us / rows for run in own], [run.sys_us / rows for run in own], [run.rate() for run in own]))
        lines.append(report.row([f"{rows:,}", f"{cpu[0]:.2f}", f"{cpu[1]:.2f}–{cpu[2]:.2f}", f"{user:.2f}",
                                 f"{system:.2f}", f"{high[0]:.1f}", f"{high[1]:.1f}–{high[2]:.1f}", f"{rate:,.0f}"]))
    few, many = min(sound), max(sound)
    both = sound[few].keys() & sound[many].keys()
    if both and few < many:
        more = [peak(sound[many][at]) / peak(sound[few][at]) for at in both]
        lines += ["", f"{many:,} rows to {few:,}: CPU per row × {shown(ratios(sound[many], sound[few]))}, "
                      f"peak memory × {shown(more)}."]
    return [*lines, ""]


def peer_lines(runs, args):
    """Each client at its longest beside the peers at theirs."""
    longest = {client.name: sound_runs(runs, client, lengths(args, client)[-1]) for client in args.clients}
    if BASE not in longest and SLOW not in longest:
        return []
    lines = ["## Beside the peers, at the longest", "",
             *report.head(["client", "rows", "CPU µs/row", f"× {BASE}", f"{SLOW} ×", "peak MB"])]
    for client in args.clients:
        own = longest[client.name]
        slower = [1 / ratio for ratio in ratios(own, longest.get(SLOW, {}))]
        lines.append(report.row([
            client.what, f"{lengths(args, client)[-1]:,}", shown([run.cpu() for run in own.values()]),
            shown(ratios(own, longest.get(BASE, {}))), shown(slower, 1), shown([peak(run) for run in own.values()], 1)]))
    return [*lines, "", f'"{SLOW} ×": how many times as much CPU a row takes there.', ""]


def main():
    args = arguments()
    require_files(args.connections)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = Status()
    runs = [run_once(args, status, client, rows, repetition)
            for repetition in range(args.repeats) for client in args.clients for rows in lengths(args, client)]
    facts = {"command": report.command_line("bench/rows"), **report.machine(), "versions": report.versions(args.clients)}
    lines = ["# What a row costs, by the length of the job", "", *report.fact_lines(facts), NOTES]
    lines += peer_lines(runs, args)
    for client in args.clients:
        lines += client_lines(client, runs, args)
    lines += report.problem_lines(runs)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rows.json").write_text(json.dumps({**facts, "runs": [run.as_dict() for run in runs]}, indent=1) + "\n")
    (args.out / "rows.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"bench: wrote {args.out / 'rows.md'}", file=sys.stderr)
    return 1 if any(run.problem for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
