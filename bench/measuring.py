"""Runs one client, measures it, and checks with nginx's own counters that it did the work it claims."""

import http.client
import json
import os
import re
import resource
import statistics
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, NamedTuple

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
WORK = BENCH / ".work"
MEASURE = BENCH / "target/release/measure"
GANNET = ROOT / "target/release/gannet"
PORT = int(os.environ.get("BENCH_PORT", "18180"))
CLIENT_CPU = os.environ.get("BENCH_CLIENT_CPU", "1")
SERVER_CPU = os.environ.get("BENCH_SERVER_CPU", "0")
TIMEOUT = 600
# What nginx says of each TLS connection on the ports for handshakes.
HANDSHAKES = WORK / "handshakes.log"
SAMPLE_EVERY = 0.05


@dataclass(frozen=True)
class Client:
    """A program that takes part. Each harness says how `command` and `count` are called."""

    name: str
    what: str
    # What has to be built or installed for it.
    needs: str
    command: Callable
    count: Callable


@dataclass
class Run:
    """One measured run of one client. `problem` says why its figures must not be used."""

    client: str
    connections: int
    repetition: int
    requests: int = 0
    wall_us: int = 0
    user_us: int = 0
    sys_us: int = 0
    max_rss_kib: int = 0
    # How often it gave the processor up to wait.
    sleeps: int = 0
    served: int = 0
    # The most connections open at once, and all that were opened.
    sockets: int = 0
    accepted: int = 0
    # What a connection adds, where there is a run with few of them.
    resident_kb: float = 0
    # Of one request, where the client tells it.
    median_us: float = 0
    p99_us: float = 0
    # In user space, of one request, where they are counted in place of time.
    instructions: float = 0
    case: str = ""
    problem: str = ""

    def cpu(self):
        """CPU microseconds per request, user and system."""
        return (self.user_us + self.sys_us) / self.requests

    def rate(self):
        return self.requests / (self.wall_us / 1e6)

    def as_dict(self):
        return asdict(self)


class Seen(NamedTuple):
    """What nginx counted: connections open now, connections accepted and requests served since it started."""

    active: int
    accepted: int
    requests: int


class Status:
    """nginx's stub_status over one kept connection, whose own requests and socket are taken out of what it tells."""

    def __init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        self.own = 0

    def read(self):
        self.connection.request("GET", "/status")
        text = self.connection.getresponse().read().decode()
        self.own += 1
        active = int(re.search(r"Active connections: (\d+)", text)[1])
        accepted, requests = re.search(r"^ (\d+) \d+ (\d+)", text, re.M).groups()
        return Seen(active - 1, int(accepted) - 1, int(requests) - self.own)

    def settle(self):
        """Waits until the last client's connections are gone."""
        deadline = time.monotonic() + 30
        while True:
            seen = self.read()
            if seen.active <= 0:
                return seen
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: {seen.active} connections are still open 30 s after a client ended")
            time.sleep(SAMPLE_EVERY)


class Watch(threading.Thread):
    """Notes the most connections nginx had open while a client ran."""

    def __init__(self, status):
        super().__init__(daemon=True)
        self.status, self.peak, self.ended = status, 0, threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_EVERY):
            self.peak = max(self.peak, self.status.read().active)

    def stop(self):
        self.ended.set()
        self.join()
        return self.peak


def measured(status, run, command, count):
    """Runs `command` pinned to the client's core and fills `run`. `count(stdout)` gives (ok, failed)."""
    WORK.mkdir(exist_ok=True)
    report = WORK / "measure.json"
    report.unlink(missing_ok=True)
    before = status.settle()
    watch = Watch(status)
    watch.start()
    stdout, stderr = spawn([str(MEASURE), str(report), *map(str, command)])
    run.sockets = watch.stop()
    after = status.settle()
    run.served, run.accepted = after.requests - before.requests, after.accepted - before.accepted
    if not report.exists():
        run.problem = f"did not run to its end: {last_line(stderr)}"
        return run
    used = json.loads(report.read_text())
    for name in ("wall_us", "user_us", "sys_us", "max_rss_kib", "sleeps"):
        setattr(run, name, used[name])
    if not used["success"]:
        run.problem = f"exit code not 0: {last_line(stderr)}"
        return run
    try:
        ok, failed = count(stdout)
    except (KeyError, TypeError, ValueError, OSError) as error:
        run.problem = f"its result could not be read: {error}"
        return run
    run.requests = run.requests or ok
    if failed or ok != run.requests:
        run.problem = f"{ok} of {run.requests} requests ok, {failed} failed"
    return run


def instructions(run, command, shorter, fewer, count):
    """Fills `run` with the instructions of one of its requests by callgrind: `shorter`, of `fewer` requests, is taken off
    `command`, and with it the start. `count(stdout)` gives (ok, failed)."""
    totals = []
    for words, requests in ((command, run.requests), (shorter, fewer)):
        stdout, stderr = spawn(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, words)])
        collected = re.search(r"Collected : (\d+)", stderr)
        try:
            if collected is None or count(stdout) != (requests, 0):
                raise ValueError(last_line(stderr))
        except (KeyError, TypeError, ValueError) as error:
            run.problem = f"not counted: {error}"
            return
        totals.append(int(collected[1]))
    run.instructions = (totals[0] - totals[1]) / (run.requests - fewer)


def check_served(run, spare=0, connections=None):
    """Against nginx's counters: as many requests as claimed (`spare` more may be cut off), on as many sockets as the run
    has, or on `connections` of them."""
    if run.problem:
        return
    connections = run.connections if connections is None else connections
    if not run.requests <= run.served <= run.requests + spare:
        run.problem = f"claims {run.requests} requests, nginx served {run.served}"
    elif run.sockets < connections * 0.95:
        run.problem = f"held at most {run.sockets} of {connections} sockets"


def spawn(command):
    """Runs to the end, without the user's proxy settings; a client that hangs is killed with its children."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    child = subprocess.Popen(
        ["taskset", "-c", CLIENT_CPU, *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", env=environment, start_new_session=True,
    )
    try:
        return child.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return "", f"killed after {TIMEOUT} s"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, 9)
            child.wait()


def last_line(text):
    return (text.strip().splitlines() or ["nothing on stderr"])[-1]


def urls_file(rows):
    """A file of `rows` different URLs, one per line, made once."""
    path = WORK / f"urls-{PORT}-{rows}.txt"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with open(unfinished, "w", encoding="ascii") as out:
            out.writelines(f"http://127.0.0.1:{PORT}/items/{index}\n" for index in range(1, rows + 1))
        unfinished.rename(path)
    return path


def remove_output(out):
    """Takes away a written output and the run state beside it."""
    for path in out.parent.glob(out.name + "*"):
        path.unlink()


def count_lines(path):
    with open(path, "rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))


def require_files(connections):
    """Stops early when the limit on open files is too low for this many sockets."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < connections + 200:
        raise SystemExit(f"bench: {limit} open files are allowed, {connections} connections need more (ulimit -Hn)")


def spread(values):
    """(median, min, max)."""
    return statistics.median(values), min(values), max(values)
