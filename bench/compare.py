"""Compares Gannet with its peers on one core, interleaved, and writes a table and the raw figures.

Called by bench/run, which has built the clients and started nginx.
"""

import argparse
import json
import re
import shlex
import signal
import sys
from dataclasses import dataclass

import report
from measuring import (BENCH, GANNET, PORT, ROOT, WORK, Client, Run, Status, check_served, count_lines, measured,
                       remove_output, require_files, urls_file)

ITEM = f"http://127.0.0.1:{PORT}/item"
OUT = WORK / "rows.jsonl"
PYTHON = BENCH / ".venv/bin/python"
# The most transfers curl runs at once; it lowers a larger --parallel-max by itself.
CURL_MOST = 300


@dataclass(frozen=True)
class Compared(Client):
    """`command(connections, requests)`; `count(stdout, requests)` gives (ok, failed)."""

    # Slow clients need fewer requests for a steady figure.
    enough: int = 1_000_000_000
    # The program says how many it made, since it is told for how long.
    timed: bool = False
    most: int = 1_000_000


def tally(stdout, _requests):
    found = json.loads(stdout)
    return found["ok"], found["failed"]


def all_ok(_stdout, requests):
    """For a client whose exit code 0 says that every request succeeded."""
    return requests, 0


def rust(name):
    return lambda connections, requests: [BENCH / "target/release" / name, ITEM, connections, requests]


def gannet_fetch(connections, requests, *output):
    limits = ["--concurrency", connections, "--per-host", connections]
    return [GANNET, "fetch", urls_file(requests), *output, *limits]


def gannet_fetch_jsonl(connections, requests):
    remove_output(OUT)
    return gannet_fetch(connections, requests, "-o", OUT, "--fresh")


def gannet_fetch_os(connections, requests):
    return [*gannet_fetch_jsonl(connections, requests), "--durability", "os"]


def gannet_fetch_stdout(connections, requests):
    remove_output(OUT)
    words = shlex.join(map(str, gannet_fetch(connections, requests, "-o", "-")))
    return ["sh", "-c", f"exec {words} > {shlex.quote(str(OUT))}"]


def written_rows(_stdout, requests):
    rows = count_lines(OUT)
    return rows, abs(requests - rows)


def wrk(connections, requests):
    # At about 100,000 requests a second, as many as the others make.
    seconds = max(1, round(requests / 100_000))
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", ITEM]


def wrk_count(stdout, _requests):
    made = re.search(r"(\d+) requests in", stdout)
    if made is None:
        raise ValueError("wrk printed no count")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", stdout)
    failed = sum(map(int, errors.groups())) if errors else 0
    return int(made[1]), failed + (int(refused[1]) if refused else 0)


def curl(connections, requests):
    config = WORK / f"curl-{PORT}-{requests}.conf"
    with open(config, "w", encoding="ascii") as out:
        for line in urls_file(requests).read_text().split():
            out.write(f'url = "{line}"\noutput = "/dev/null"\n')
    # --fail-early: exit code 0 only when every transfer was a success.
    return ["curl", "--disable", "-Z", "--parallel-max", connections, "-s", "-S", "--fail", "--fail-early", "-K", config]


def aiohttp(*options):
    script = BENCH / "aiohttp_parallel_fetch.py"
    return lambda connections, requests: [PYTHON, script, urls_file(requests), connections, *options]


CLIENTS = [
    Compared("gannet", "our session", "session", rust("gannet_session"), tally),
    Compared("gannet-fetch", "`gannet fetch --format none`", "command",
             lambda c, n: gannet_fetch(c, n, "--format", "none"), all_ok),
    Compared("gannet-fetch-stdout", "`gannet fetch > rows.jsonl`", "command", gannet_fetch_stdout, written_rows),
    Compared("gannet-fetch-os", "`gannet fetch -o rows.jsonl --durability os`", "command", gannet_fetch_os,
             written_rows),
    Compared("gannet-fetch-jsonl", "`gannet fetch -o rows.jsonl`", "command", gannet_fetch_jsonl, written_rows),
    Compared("reqwest", "reqwest, one shared client", "peers", rust("reqwest_client"), tally),
    Compared("hyper", "hyper `client::conn`, no pool", "peers", rust("hyper_client"), tally),
    Compared("bare", "tokio socket + httparse: the floor", "peers", rust("bare_socket"), tally),
    Compared("wrk", "wrk, a load tester in C", "tools", wrk, wrk_count, timed=True),
    Compared("curl", "`curl -Z` with a file of URLs", "tools", curl, all_ok, enough=20_000, most=CURL_MOST),
    Compared("aiohttp", "aiohttp, the usual parallel fetch", "venv", aiohttp(), tally, enough=50_000),
    Compared("aiohttp-uvloop", "the same on uvloop", "venv", aiohttp("--uvloop"), tally, enough=50_000),
]


def arguments():
    names = ",".join(client.name for client in CLIENTS)
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares Gannet with its peers on one core.",
                                     epilog=f"Clients: {names}.")
    parser.add_argument("--quick", action="store_true",
                        help="2 repeats, 20,000 requests, results in bench/.work: to see that it works, not to quote")
    parser.add_argument("--connections", default="64,5000", help="comma-separated (64,5000)")
    parser.add_argument("--requests", type=int, help="per run (200000, or 100 a connection if that is more); "
                        "at most 50,000 for aiohttp, 20,000 for curl, at least 2 a connection")
    parser.add_argument("--repeats", type=int, help="interleaved repetitions (5)")
    parser.add_argument("--only", default=names, help="comma-separated names of clients (all)")
    parser.add_argument("--label", default="http1", help="results go to bench-LABEL.md and .json (http1)")
    parser.add_argument("--out", help="where the results go (docs/results)")
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    only = args.only.split(",")
    unknown = set(only) - set(names.split(","))
    if unknown:
        parser.error(f"no client named {', '.join(sorted(unknown))}; there are: {names}")
    try:
        args.connections = [int(number) for number in args.connections.split(",")]
    except ValueError:
        parser.error("--connections wants numbers, such as 64,5000")
    args.clients = [client for client in CLIENTS if client.name in only]
    args.repeats = (2 if args.quick else 5) if args.repeats is None else args.repeats
    if min([*args.connections, args.repeats, 1 if args.requests is None else args.requests]) < 1:
        parser.error("every number must be at least 1")
    args.out = args.out or (WORK / "results" if args.quick else ROOT / "docs/results")
    return args


def requests_for(args, client, connections):
    """Opening a connection costs as much as several requests, so many connections need many requests to hide it."""
    base = args.requests or (20_000 if args.quick else max(200_000, 100 * connections))
    enough = client.enough // 10 if args.quick else client.enough
    return max(min(base, enough), 2 * connections)


def run_once(args, status, client, connections, repetition):
    requests = requests_for(args, client, connections)
    run = Run(client.name, connections, repetition, 0 if client.timed else requests)
    command = client.command(connections, requests)
    measured(status, run, command, lambda stdout: client.count(stdout, requests))
    # What wrk had under way when its time was over was served, but not counted by it.
    check_served(run, spare=connections if client.timed else 0)
    remove_output(OUT)
    figure = run.problem or f"{run.cpu():8.2f} µs/request {run.rate():10,.0f} requests/s {run.sockets} sockets"
    print(f"{connections:>6} {repetition + 1}/{args.repeats} {client.name:<20} {figure}", file=sys.stderr)
    return run


def main():
    args = arguments()
    if args.needs:
        print(" ".join(sorted({client.needs for client in args.clients})))
        return 0
    require_files(max(args.connections))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status, runs = Status(), []
    for connections in args.connections:
        fit = [client for client in args.clients if connections <= client.most]
        for repetition in range(args.repeats):
            runs += [run_once(args, status, client, connections, repetition) for client in fit]
    path = report.write_comparison(args, runs)
    print(f"bench: wrote {path}", file=sys.stderr)
    return 1 if any(run.problem for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
