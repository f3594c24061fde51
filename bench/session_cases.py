"""What bench/session measures: the cases, who takes part in each, and what the session is held to."""

import json
from dataclasses import dataclass

from measuring import BENCH, GANNET, PORT, WORK, Client

OUT = WORK / "download.bin"
BLOB = WORK / "files/blob"
BLOB_LEN = 100_000_000
CA = WORK / "ca.pem"
# The run that the memory of many connections is taken against.
FEW, FEW_AMOUNT = 64, 30_000
# Behind BENCH_PORT, as prepare.sh sets nginx up.
H1, H2C, H1_TLS, H2_TLS, FULL, RESUMED = (PORT + offset for offset in range(6))


@dataclass(frozen=True)
class Rival(Client):
    """`command(case, connections, amount)`; `count(stdout, amount)` gives "ok" and "failed", perhaps latencies too."""

    # Whom its figures are compared to.
    peer: str = "reqwest"
    # In place of the case's.
    amount: int = 0


@dataclass(frozen=True)
class Target:
    """At most `limit`: of the ratio of a figure to the peer's, or of the figure itself where `absolute`."""

    client: str
    figure: str
    limit: float
    absolute: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    note: str
    url: str
    connections: int
    amount: int
    clients: tuple
    targets: tuple = ()
    options: tuple = ()
    unit: str = "request"
    repeats: int = 5
    # Exactly so many connections are opened, where that is not left to the client.
    opened: int = 0
    # Memory per connection is told.
    resident: bool = False
    # With a busy loop on the client's processor.
    crowded: bool = False
    # "full" or "resumed": one for each request.
    handshakes: str = ""
    # Too short, or one after another: how many connections are open at once is not looked at.
    once: bool = False
    # Instructions are counted in place of time.
    instructions: bool = False


def tally(stdout, _amount):
    return json.loads(stdout)


def rust(program, *options):
    path = BENCH / "target/release" / program
    return lambda case, connections, amount: [path, case.url, connections, amount, *case.options, *options]


OURS = Rival("gannet", "our session", "session", rust("gannet_session"), tally)
REQWEST = Rival("reqwest", "reqwest", "peers", rust("reqwest_client"), tally)
ADAPTIVE = Rival("reqwest-adaptive", "reqwest, adaptive window", "peers",
                 rust("reqwest_client", "--adaptive-window"), tally)
HYPER = Rival("hyper", "hyper `client::conn`, no pool", "peers", rust("hyper_client"), tally)
BARE = Rival("bare", "tokio socket + httparse: the floor", "peers", rust("bare_socket"), tally)
TLS = ("--ca", CA)
HTTP2 = ("--http2",)


def item(scheme, port):
    return f"{scheme}://127.0.0.1:{port}/item"


# What `-w` tells of a transfer, in curl and in ours: with the version, so that none is another than it seems.
TOLD = r"%{http_code} %{size_download} %{http_version}\n"


def told(stdout, amount):
    good = sum(line.split()[:2] == ["200", str(BLOB_LEN)] for line in stdout.splitlines())
    return {"ok": good, "failed": amount - good}


def curl(case, to, times):
    words = ["curl", "--disable", "-s", "-S", "--fail", "--fail-early", "--cacert", CA, "-w", TOLD]
    return [*words, *["-o", to, case.url] * times]


def gannet_get(case, to):
    return [GANNET, "get", case.url, "-o", to, "--cacert", CA, "--cacert-only", "-w", TOLD]


def again(command, times):
    """The command so many times, one after another; stops at the first failure."""
    return ["sh", "-ec", f'for _ in $(seq {times}); do "$@"; done', "sh", *command]


def our_download(name, what, peer, *options):
    return Rival(name, f"our session, {what}", "session", rust("gannet_download", "--body", BLOB_LEN, *options), tally,
                 peer)


def curls_downloads(place, what, to):
    """curl and `gannet get`: curl with many downloads in one process, then both with a process for each."""
    each = f"curl-each-{place}"
    yield Rival(f"curl-{place}", f"curl, {what}", "tools", lambda case, _, times: curl(case, to, times), told,
                f"curl-{place}")
    yield Rival(f"get-{place}", f"`gannet get -o`, {what}, a process each", "command",
                lambda case, _, times: again(gannet_get(case, to), times), told, each, 3)
    yield Rival(each, f"curl, {what}, a process each", "tools",
                lambda case, _, times: again(curl(case, to, 1), times), told, each, 3)


DOWNLOADERS = (
    our_download("gannet-file", "to a file", "curl-file", "--save", OUT),
    our_download("gannet-unsynced", "to a file, not synced", "curl-file", "--save", OUT, "--no-sync"),
    *curls_downloads("file", "to a file", OUT),
    our_download("gannet-none", "to nothing", "curl-none"),
    *curls_downloads("none", "to nothing", "/dev/null"),
)
DOWNLOAD_TARGETS = tuple(Target(client.name, "cpu", 1.1) for client in DOWNLOADERS
                         if not client.name.startswith("curl"))
CROWDED = ("A busy loop wants the client's processor too, so that the client has half of it, nginx all the time it "
           "needs, and the client seldom sleeps: what a request costs when answers wait for the client.")
SLEEPS = ("Where sleeps are near 0, answers always waited for the client. Where nginx is no faster than a client, that "
          "one sleeps between answers, wakes for few of them at once, and pays for that in system time.")


def http1():
    clients = (OURS, REQWEST, HYPER, BARE)
    yield Case("http1-64", "HTTP/1.1, 64 connections", SLEEPS, item("http", H1), 64, 200_000, clients,
               (Target("gannet", "cpu", 0.65),))
    yield Case("http1-64-crowded", "HTTP/1.1, 64 connections, beside a busy loop", CROWDED, item("http", H1), 64,
               150_000, (OURS, REQWEST, BARE), repeats=3, crowded=True)
    yield Case("http1-5000", "HTTP/1.1, 5,000 connections", "", item("http", H1), 5_000, 400_000, clients,
               (Target("gannet", "cpu", 0.55), Target("gannet", "resident_kb", 16, absolute=True)), repeats=3,
               resident=True)
    yield Case("https-5000", "HTTP/1.1 over TLS, 5,000 connections", "For information. 5,000 handshakes are in it.",
               item("https", H1_TLS), 5_000, 200_000, (OURS, REQWEST), options=TLS, repeats=2, resident=True)


def http2():
    clients = (OURS, REQWEST, ADAPTIVE)
    yield Case("http2-64", "HTTP/2 without TLS, 64 streams on one connection", SLEEPS, item("http", H2C), 64,
               200_000, clients, (Target("gannet", "cpu", 0.90),), HTTP2, opened=1)
    yield Case("http2-64-crowded", "HTTP/2 without TLS, 64 streams, beside a busy loop", CROWDED, item("http", H2C),
               64, 150_000, clients, options=HTTP2, repeats=3, opened=1, crowded=True)
    yield Case("http2-tls-64", "HTTP/2 over TLS, 64 streams on one connection", "For information.",
               item("https", H2_TLS), 64, 100_000, clients, options=(*HTTP2, *TLS), repeats=3, opened=1)


def downloads():
    note = "Files are written to a disk; curl's are not synced, ours are unless it says otherwise."
    for name, title, scheme, port in (
            ("http1", "HTTP/1.1", "http", H1), ("https", "HTTP/1.1 over TLS", "https", H1_TLS),
            ("http2", "HTTP/2 over TLS", "https", H2_TLS)):
        yield Case(f"download-{name}", f"100 MB by {title}", note,
                   f"{scheme}://127.0.0.1:{port}/blob", 1, 6, DOWNLOADERS, DOWNLOAD_TARGETS,
                   () if scheme == "http" else TLS, "100 MB", once=True)


def handshakes():
    note = ("The server closes after each response; four connections at a time. A request and a response are in it. "
            "TLS 1.3, ECDSA P-256, aws-lc-rs on both sides. ")
    yield Case("handshake-full", "A full TLS handshake", note + "The server gives no tickets.", item("https", FULL), 4,
               3_000, (OURS, REQWEST), (Target("gannet", "cpu", 1.0),), TLS, "handshake", handshakes="full", once=True)
    yield Case("handshake-resumed", "A resumed TLS handshake",
               note + "By tickets; nginx's log says that they were taken.", item("https", RESUMED), 4, 5_000,
               (OURS, REQWEST), (Target("gannet", "cpu", 1.0),), TLS, "handshake", handshakes="resumed", once=True)


def one_at_a_time():
    targets = (Target("gannet", "median", 1.0), Target("gannet", "p99", 1.0))
    latency = ("--latency",)
    yield Case("one-http1", "One request at a time, HTTP/1.1", "", item("http", H1), 1, 30_000,
               (OURS, REQWEST, HYPER, BARE), targets, latency, opened=1, once=True)
    yield Case("one-http2", "One request at a time, HTTP/2 without TLS", "", item("http", H2C), 1, 30_000,
               (OURS, REQWEST, ADAPTIVE), targets, (*HTTP2, *latency), opened=1, once=True)


def instruction_counts():
    note = ("Counted by valgrind's callgrind in user space, without the kernel: the difference of a long and a short run. "
            "It says nothing of caches, and does not depend on who is faster.")
    yield Case("instructions-http1", "Instructions of a request, HTTP/1.1, 64 connections", note, item("http", H1), 64,
               10_000, (OURS, REQWEST, HYPER, BARE), repeats=1, instructions=True)
    yield Case("instructions-http2", "Instructions of a request, HTTP/2, 64 streams", note, item("http", H2C), 64,
               10_000, (OURS, REQWEST, ADAPTIVE), options=HTTP2, repeats=1, instructions=True)


CASES = [*http1(), *http2(), *downloads(), *handshakes(), *one_at_a_time(), *instruction_counts()]
