"""Turns measured runs into a Markdown table, with the command and the machine that made it, and JSON beside it."""

import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

from measuring import BENCH, CLIENT_CPU, GANNET, ROOT, SERVER_CPU, spread

BASE = "reqwest"
HEADER = ["client", "CPU µs/request", "min–max", f"× {BASE}", "min–max", "user", "sys",
          "requests/s", "core busy", "peak MB", "sockets", "requests"]
# The figures whose ratio to a peer's is told, in the same repetition.
RATIOS = {"cpu": "cpu_us_per_request", "median": "median_us", "p99": "p99_us", "instructions": "instructions"}
NOTES = """
nginx runs on one core and serves a 210-byte JSON body from memory; one client at a time runs on the other. The clients
take turns within each repetition; the figures are medians over the repetitions, "min–max" the least and the most.

- CPU: what the kernel charged to the whole client process, user and system, divided by the requests it made. Starting,
  opening the connections and ending are in it.
- × reqwest: the ratio of the CPU per request to reqwest's in the same repetition.
- core busy: CPU over wall time; near 100% the client is the bottleneck, well below it nginx is.
- peak MB: the largest resident set, in 10^6 bytes. sockets: the most connections nginx had open.
- n/a: the client cannot hold so many connections, or no run of it was sound.

Every run is checked: all responses 200 and whole by the client's own count or exit code, as many requests by nginx's
count, and at least 95% of the connections open at once. reqwest has HTTP/2 and rustls compiled in, as our session has;
both, hyper and the bare socket use the system's allocator. wrk runs for a time, not for a number of requests.
"""


def write_comparison(args, runs):
    """Writes bench-LABEL.json and bench-LABEL.md into args.out; returns the path of the latter."""
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"command": command_line("bench/run"), **machine(), "versions": versions(args.clients)}
    summary = {str(connections): summarise([run for run in runs if run.connections == connections])
               for connections in args.connections}
    document = {**facts, "repeats": args.repeats, "summary": summary, "runs": [run.as_dict() for run in runs]}
    (out / f"bench-{args.label}.json").write_text(json.dumps(document, indent=1) + "\n")

    lines = [f"# Comparison with peers: {args.label}", "", *fact_lines(facts), NOTES]
    for connections in args.connections:
        lines += [f"## {connections:,} connections", "", *table(args.clients, summary[str(connections)]), ""]
    lines += resident_per_connection(args, summary)
    lines += problem_lines(runs)
    path = out / f"bench-{args.label}.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def figures(run):
    """What a sound run says, by name; 0 for what it does not say."""
    return {
        "cpu_us_per_request": run.cpu(),
        "user_us_per_request": run.user_us / run.requests,
        "sys_us_per_request": run.sys_us / run.requests,
        "sleeps_per_request": run.sleeps / run.requests,
        "requests_per_second": run.rate() if run.wall_us else 0,
        "core_busy": (run.user_us + run.sys_us) / run.wall_us if run.wall_us else 0,
        "peak_rss_mb": run.max_rss_kib * 1024 / 1e6,
        "resident_kb": run.resident_kb,
        "median_us": run.median_us,
        "p99_us": run.p99_us,
        "instructions": run.instructions,
        "sockets": run.sockets,
        "requests": run.requests,
    }


def summarise(runs, peer_of=lambda _client: BASE):
    """By client: each figure as [median, min, max] over its sound runs; those of RATIOS also to the peer's."""
    sound = {(run.client, run.repetition): figures(run) for run in runs if not run.problem}
    summary = {}
    for name in dict.fromkeys(client for client, _ in sound):
        own = {repetition: found for (client, repetition), found in sound.items() if client == name}
        columns = {key: [found[key] for found in own.values()] for key in next(iter(own.values()))}
        peer = peer_of(name)
        for short, key in RATIOS.items():
            pairs = [(found[key], sound[peer, at][key]) for at, found in own.items() if (peer, at) in sound]
            columns[f"{short}_ratio_to_{peer}"] = [ours / theirs for ours, theirs in pairs if theirs]
        summary[name] = {key: spread(values) for key, values in columns.items() if any(values)}
        summary[name]["runs"] = len(own)
    return summary


def table(clients, summary):
    yield from head(HEADER)
    for client in clients:
        found = summary.get(client.name)
        if found is None:
            yield row([client.what, *["n/a"] * (len(HEADER) - 1)])
            continue
        cpu, ratio = found["cpu_us_per_request"], found.get(f"cpu_ratio_to_{BASE}")
        yield row([
            client.what, f"{cpu[0]:.2f}", f"{cpu[1]:.2f}–{cpu[2]:.2f}",
            f"{ratio[0]:.2f}" if ratio else "–", f"{ratio[1]:.2f}–{ratio[2]:.2f}" if ratio else "–",
            f"{found['user_us_per_request'][0]:.2f}", f"{found['sys_us_per_request'][0]:.2f}",
            f"{found['requests_per_second'][0]:,.0f}", f"{found['core_busy'][0]:.0%}",
            f"{found['peak_rss_mb'][0]:.1f}", f"{found['sockets'][0]:,.0f}", f"{found['requests'][0]:,.0f}",
        ])


def resident_per_connection(args, summary):
    """What one more connection adds to the peak memory, from the fewest to the most connections."""
    few, many = min(args.connections), max(args.connections)
    if few == many:
        return []
    lines = [f"## Resident per connection, from {few:,} to {many:,}", "", *head(["client", "kB (10^3 bytes)"])]
    for client in args.clients:
        low, high = (summary[str(number)].get(client.name) for number in (few, many))
        if low and high:
            added = (high["peak_rss_mb"][0] - low["peak_rss_mb"][0]) * 1000 / (many - few)
            lines.append(row([client.what, f"{added:.1f}"]))
    return [*lines, "", "Where runs differ in length, what a client keeps of each request is in it too.", ""]


def problem_lines(runs):
    found = [f"- {run.case + ': ' if run.case else ''}{run.client}, {run.connections:,} connections, "
             f"repetition {run.repetition + 1}: {run.problem}" for run in runs if run.problem]
    return ["## Runs left out", "", *found] if found else []


def command_line(program):
    pins = [f"{name}={os.environ[name]}" for name, usual in
            (("BENCH_SERVER_CPU", "0"), ("BENCH_CLIENT_CPU", "1")) if os.environ.get(name, usual) != usual]
    return shlex.join([*pins, program, *sys.argv[1:]])


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} processors; "
               f"nginx on {SERVER_CPU}, clients on {CLIENT_CPU}",
        "kernel": f"{platform.system()} {platform.release()}",
        "load average": "{:.1f} (1 minute), {:.1f} (15 minutes), this benchmark included".format(
            *(os.getloadavg()[at] for at in (0, 2))),
    }


def versions(clients):
    """What took part, by name; only of the clients that were asked for."""
    lock = (BENCH / "Cargo.lock").read_text()
    locked = {name: re.search(rf'name = "{name}"\nversion = "(.*)"', lock)[1] for name in
              ("reqwest", "hyper", "tokio", "httparse", "h2", "rustls", "aws-lc-rs")}
    needs, names = {client.needs for client in clients}, {client.name for client in clients}
    found = {"nginx": first_line("nginx", "-v").removeprefix("nginx version: nginx/"),
             "rustc": first_line("rustc", "--version").removeprefix("rustc ")}
    if "peers" in needs:
        found |= locked
    if needs & {"session", "command"}:
        commit = first_line("git", "-C", ROOT, "rev-parse", "--short", "HEAD") or "unknown"
        changed = first_line("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", "crates")
        found["gannet"] = f"commit {commit}{' with changes' if changed else ''}"
    if "command" in needs:
        found["gannet command"] = first_line(GANNET, "--version").removeprefix("gannet ")
    if "wrk" in names:
        found["wrk"] = first_line("wrk", "-v").split(" Copyright")[0].removeprefix("wrk ")
    if any(name.startswith("curl") for name in names):
        found["curl"] = first_line("curl", "--version").split(" (")[0].removeprefix("curl ")
    if "venv" in needs:
        code = ("import aiohttp, uvloop, platform\n"
                "print(aiohttp.__version__, 'with uvloop', uvloop.__version__, 'on Python', platform.python_version())")
        found["aiohttp"] = first_line(BENCH / ".venv/bin/python", "-c", code)
    return found


def first_line(*command):
    """The first line a program prints on stdout, else on stderr; empty when it failed to run or has nothing to say."""
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    except OSError:
        return ""
    if done.returncode and command[0] == "git":
        return ""
    return next(iter((done.stdout.strip() or done.stderr.strip()).splitlines()), "")


def fact_lines(facts):
    """The command, then one list item for each fact."""
    yield from ("```", facts["command"], "```", "")
    for name, fact in facts.items():
        if name == "versions":
            yield "- versions: " + "; ".join(f"{key} {value}" for key, value in fact.items())
        elif name != "command":
            yield f"- {name}: {fact}"


def head(names):
    return [row(names), row(["---", *["---:"] * (len(names) - 1)])]


def row(cells):
    return "| " + " | ".join(cells) + " |"
