"""What a row costs in a short and in a long job: CPU and peak memory of `gannet fetch` from files of both lengths.

Called by bench/rows, which has built the command and started nginx.
"""

import argparse
import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import report
from measuring import (GANNET, ROOT, WORK, Run, Status, check_served, count_lines, measured, remove_output,
                       require_files, spread, urls_file)

OUT = WORK / "rows.jsonl"
NOTES = """
nginx runs on one core and serves a 210-byte JSON body from memory; `gannet fetch` runs on the other, from a file of
different URLs on one host. CPU is that of the whole process, user and system, start and end included, divided by the
rows. The lengths take turns within each repetition; the figures are medians over the repetitions, "min–max" the least
and the most, and the ratio is taken within each repetition. "peak MB" is the largest resident set, in 10^6 bytes. Every
run is checked: exit code 0 (every row ok), as many requests by nginx's count as rows, and as many lines in the output.
"""


def arguments():
    parser = argparse.ArgumentParser(prog="bench/rows", description="What a row costs in a short and in a long job.")
    parser.add_argument("--quick", action="store_true",
                        help="1,000 and 20,000 rows, 2 repeats, results in bench/.work: to see that it works")
    parser.add_argument("--few", type=int, help="rows of the short job (10000)")
    parser.add_argument("--many", type=int, help="rows of the long job (1000000)")
    parser.add_argument("--repeats", type=int, help="interleaved repetitions (3)")
    parser.add_argument("--connections", type=int, default=64, help="requests at once (64)")
    parser.add_argument("--jsonl", action="store_true", help="also with -o: rows written, state kept")
    parser.add_argument("--out", help="where rows.md and rows.json go (docs/results)")
    args = parser.parse_args()
    few, many, repeats = (1_000, 20_000, 2) if args.quick else (10_000, 1_000_000, 3)
    args.few, args.many, args.repeats = args.few or few, args.many or many, args.repeats or repeats
    if min(args.few, args.many, args.repeats, args.connections) < 1:
        parser.error("every number must be at least 1")
    args.out = Path(args.out or (WORK / "results" if args.quick else ROOT / "docs/results"))
    return args


def run_once(args, status, mode, rows, repetition):
    remove_output(OUT)
    output = ["--format", "none"] if mode == "none" else ["-o", OUT, "--fresh"]
    limits = ["--concurrency", args.connections, "--per-host", args.connections]
    # The sockets are not asked about: a short job may end between two looks at nginx.
    run = Run(mode, 0, repetition, rows)
    command = [GANNET, "fetch", urls_file(rows), *output, *limits]
    measured(status, run, command, lambda _: (rows if mode == "none" else count_lines(OUT), 0))
    check_served(run)
    remove_output(OUT)
    figure = run.problem or f"{run.cpu():8.2f} µs/row {run.max_rss_kib * 1024 / 1e6:7.1f} MB"
    print(f"{repetition + 1}/{args.repeats} {mode:<6} {rows:>9,} rows {figure}", file=sys.stderr)
    return run


def mode_lines(mode, runs, args):
    """A table of both lengths, then the ratio long to short."""
    title = {"none": "`gannet fetch --format none`", "jsonl": "`gannet fetch -o rows.jsonl`"}[mode]
    lines = [f"## {title}, {args.connections} connections", "",
             *report.head(["rows", "CPU µs/row", "min–max", "user", "sys", "peak MB", "min–max", "rows/s"])]
    sound = {rows: {run.repetition: run for run in runs if run.client == mode and run.requests == rows and not run.problem}
             for rows in (args.few, args.many)}
    for rows, by_repetition in sound.items():
        own = by_repetition.values()
        if not own:
            lines.append(report.row([f"{rows:,}", *["n/a"] * 7]))
            continue
        cpu, peak = spread([run.cpu() for run in own]), spread([run.max_rss_kib * 1024 / 1e6 for run in own])
        user, system, rate = (spread(values)[0] for values in (
            [run.user_us / rows for run in own], [run.sys_us / rows for run in own], [run.rate() for run in own]))
        lines.append(report.row([f"{rows:,}", f"{cpu[0]:.2f}", f"{cpu[1]:.2f}–{cpu[2]:.2f}", f"{user:.2f}",
                                 f"{system:.2f}", f"{peak[0]:.1f}", f"{peak[1]:.1f}–{peak[2]:.1f}", f"{rate:,.0f}"]))
    both = sound[args.few].keys() & sound[args.many].keys()
    if both:
        pairs = [(sound[args.many][at], sound[args.few][at]) for at in both]
        cpu = spread([long.cpu() / short.cpu() for long, short in pairs])
        peak = spread([long.max_rss_kib / short.max_rss_kib for long, short in pairs])
        lines += ["", f"{args.many:,} rows to {args.few:,}: CPU per row × {cpu[0]:.2f} ({cpu[1]:.2f}–{cpu[2]:.2f}), "
                      f"peak memory × {peak[0]:.2f} ({peak[1]:.2f}–{peak[2]:.2f})."]
    return [*lines, ""]


def main():
    args = arguments()
    require_files(args.connections)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    modes = ["none", "jsonl"] if args.jsonl else ["none"]
    status = Status()
    runs = [run_once(args, status, mode, rows, repetition)
            for repetition in range(args.repeats) for mode in modes for rows in (args.few, args.many)]
    command = SimpleNamespace(name="gannet-fetch", needs="command")
    facts = {"command": report.command_line("bench/rows"), **report.machine(), "versions": report.versions([command])}
    lines = ["# What a row costs, by the length of the job", "", *report.fact_lines(facts), NOTES]
    for mode in modes:
        lines += mode_lines(mode, runs, args)
    lines += report.problem_lines(runs)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rows.json").write_text(json.dumps({**facts, "runs": [run.as_dict() for run in runs]}, indent=1) + "\n")
    (args.out / "rows.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"bench: wrote {args.out / 'rows.md'}", file=sys.stderr)
    return 1 if any(run.problem for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
