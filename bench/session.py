"""The session beside its peers, case by case: many connections, HTTP/2, downloads, handshakes, one request at a time.

Called by bench/session, which has built the clients and started nginx. What is measured stands in session_cases.py.
"""

import argparse
import contextlib
import filecmp
import signal
import subprocess
import sys

import session_report
from measuring import (CLIENT_CPU, HANDSHAKES, ROOT, WORK, Run, Status, check_served, instructions, measured,
                       remove_output, require_files)
from session_cases import BLOB, CASES, FEW, FEW_AMOUNT, OUT


def arguments():
    names = ",".join(case.name for case in CASES)
    parser = argparse.ArgumentParser(prog="bench/session", description="The session beside its peers, case by case.",
                                     epilog=f"Cases: {names}.")
    parser.add_argument("--quick", action="store_true", help="2 repeats, a tenth of the requests, results in "
                        "bench/.work: to see that it works, not to quote")
    parser.add_argument("--only", default=names, help="comma-separated names of cases (all)")
    parser.add_argument("--clients", help="comma-separated names of clients, a peer among them (all)")
    parser.add_argument("--repeats", type=int, help="interleaved repetitions (5; 3 with 5,000 connections, 1 where "
                        "instructions are counted)")
    parser.add_argument("--out", help="where bench-session.md and .json go (docs/results)")
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.only.split(",")) - set(names.split(",")):
        parser.error(f"no case named {', '.join(sorted(unknown))}; there are: {names}")
    args.cases = [case for case in CASES if case.name in args.only.split(",")]
    args.chosen = {client.name for case in args.cases for client in case.clients}
    if args.clients:
        if unknown := set(args.clients.split(",")) - args.chosen:
            parser.error(f"no client named {', '.join(sorted(unknown))}; there are: {', '.join(sorted(args.chosen))}")
        args.chosen = set(args.clients.split(","))
    if args.repeats is not None and args.repeats < 1:
        parser.error("--repeats must be at least 1")
    args.out = args.out or (WORK / "results" if args.quick else ROOT / "docs/results")
    return args


def repeats_of(args, case):
    return args.repeats or (min(2, case.repeats) if args.quick else case.repeats)


def amount_of(args, case, client):
    """How many requests a client makes; few of it, where a tenth would be none."""
    amount = client.amount or case.amount
    return max(amount // 10, min(amount, 2 * case.connections)) if args.quick else amount


@contextlib.contextmanager
def busy_loop():
    """A process that wants the client's whole processor: it gets half of it. Ordinary even where the benchmark has
    real-time priority, since then it would never let the client run."""
    loop = subprocess.Popen(["taskset", "-c", CLIENT_CPU, "chrt", "--other", "0", "sh", "-c", "while :; do :; done"])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def count(run, client, stdout):
    """(ok, failed) as the client says, and the latencies where it says them."""
    found = client.count(stdout, run.requests)
    run.median_us, run.p99_us = found.get("median_us", 0), found.get("p99_us", 0)
    return found["ok"], found["failed"]


def run_once(status, case, client, repetition, connections, amount):
    run = Run(client.name, connections, repetition, amount, case=case.name)
    command = client.command(case, connections, amount)
    if case.instructions:
        fewer = amount // 5
        instructions(run, command, client.command(case, connections, fewer), fewer,
                     lambda stdout: count(run, client, stdout))
        return run
    remove_output(OUT)
    logged = HANDSHAKES.stat().st_size
    with busy_loop() if case.crowded else contextlib.nullcontext():
        measured(status, run, command, lambda stdout: count(run, client, stdout))
    check(case, run, logged)
    remove_output(OUT)
    return run


def check(case, run, logged):
    """That the run was what the case says, by nginx's own counters, its log, and the file."""
    short = case.once or run.connections != case.connections
    check_served(run, connections=0 if short else case.opened or run.connections)
    opened = run.requests if case.handshakes else case.opened
    if run.problem:
        return
    if run.accepted < min(run.connections, opened or run.connections) * 0.95:
        run.problem = f"opened {run.accepted} of {run.connections} connections"
    elif opened and run.accepted != opened:
        run.problem = f"opened {run.accepted} connections, not {opened}"
    elif case.handshakes:
        check_handshakes(case, run, logged)
    elif OUT.exists() and not filecmp.cmp(OUT, BLOB, shallow=False):
        run.problem = "the file is not what the server has"


def check_handshakes(case, run, logged):
    with open(HANDSHAKES, encoding="ascii") as log:
        log.seek(logged)
        lines = log.read().splitlines()
    resumed = sum(line.startswith("r ") for line in lines)
    # The first on each connection, and a few whose ticket had not come yet.
    fewest = run.requests * 0.99 - run.connections if case.handshakes == "resumed" else 0
    most = run.requests if case.handshakes == "resumed" else 0
    if len(lines) != run.requests or not fewest <= resumed <= most:
        run.problem = f"{resumed} of {len(lines)} handshakes were resumed"
    elif other := {line for line in lines if "TLSv1.3" not in line}:
        run.problem = f"not all by TLS 1.3: {', '.join(sorted(other))}"


def run_case(args, status, case):
    runs, repeats = [], repeats_of(args, case)
    for repetition in range(repeats):
        for client in (client for client in case.clients if client.name in args.chosen):
            amount = amount_of(args, case, client)
            run = run_once(status, case, client, repetition, case.connections, amount)
            runs.append(run)
            if case.resident:
                few = run_once(status, case, client, repetition, FEW, FEW_AMOUNT)
                run.resident_kb = (run.max_rss_kib - few.max_rss_kib) * 1.024 / (run.connections - FEW)
                run.problem = run.problem or few.problem
            print(f"{case.name} {repetition + 1}/{repeats} {client.name:<18} "
                  f"{run.problem or session_report.brief(case, run)}", file=sys.stderr)
    return runs


def main():
    args = arguments()
    if args.needs:
        clients = (client for case in args.cases for client in case.clients if client.name in args.chosen)
        print(" ".join(sorted({client.needs for client in clients})))
        return 0
    require_files(max(case.connections for case in args.cases))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = Status()
    runs = [run for case in args.cases for run in run_case(args, status, case)]
    path = session_report.write(args, runs)
    print(f"bench: wrote {path}", file=sys.stderr)
    return 1 if any(run.problem for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
