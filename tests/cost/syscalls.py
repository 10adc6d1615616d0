"""System calls per request of the real program, under a fixed load over a real memcached.

Clients ask, and wait for the whole reply, so that each request takes the same calls however busy the machine
is. Where there are several, the proxy stands still until all have asked. What else a busy machine adds is not
counted: waits that led to nothing, and rounds in which a reply came in two pieces (the median has none).
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../blackbox")
import harness  # noqa: E402
import sealed  # noqa: E402

ROUNDS = 200
CLIENTS = 8
SEALED, REVOCABLE = b"s:{user}:1", b"r:{user}:1"
BEGIN, END = "get cost:begin", "get cost:end"
COMPLETED = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\().* = ")
ASKED = re.compile(r'recvfrom(?:\(\d+, | resumed>)"((?:get|set|mg) [^"]*)')
TICK_OR_THAW = re.compile(r", [1-9]\d*\) += 0$| = -1 EINTR ")
CONFIG = """
workers = 1
coalesce_max = "0us"
[pools.default]
nodes = ["%s"]
[keys]
file = "%s"
[[namespaces]]
prefix = "s:"
seal = "require"
blind_keys = true
[[namespaces]]
prefix = "r:"
seal = "require"
blind_keys = true
revocable = true
"""


class CannotTrace(Exception):
    """Why not."""


def require_strace():
    """Where ptrace is not allowed (some containers) strace ends with an error, or has seen nothing."""
    with tempfile.NamedTemporaryFile() as trace:
        try:
            done = subprocess.run(["strace", "-D", "-f", "-o", trace.name, "true"], capture_output=True, text=True,
                                  timeout=20, check=False)
        except FileNotFoundError:
            raise CannotTrace("strace is not installed") from None
        except subprocess.TimeoutExpired:
            raise CannotTrace("strace hangs here") from None
        # The tracer is a process of its own and may write after the program's end.
        try:
            harness.eventually(lambda: "exited with 0" in open(trace.name, encoding="utf-8").read())
        except AssertionError:
            raise CannotTrace(f"ptrace is not permitted here: {done.stderr.strip()[-200:] or done.returncode}") from None


def value(key, size):
    return b"VALUE %s 0 %d\r\n%s\r\n" % (key, size, b"v" * size)


class Load:
    """What each of `clients` sends at once, and its whole reply."""

    def __init__(self, request, reply, requests=1, clients=1):
        self.request, self.reply, self.clients = request, reply, clients
        self.per_round = requests * clients


def loads():
    keys = [b"key:%08d" % i for i in range(10)]
    get, hit = b"get %s\r\n" % keys[0], value(keys[0], 100) + b"END\r\n"
    return {
        "get hit": Load(get, hit),
        "get miss": Load(b"get missing\r\n", b"END\r\n"),
        "get hit, 16 in flight": Load(get * 16, hit * 16, requests=16),
        "get hit, 8 clients": Load(get, hit, clients=CLIENTS),
        "get of 10 keys, 1 node": Load(b"get %s\r\n" % b" ".join(keys),
                                       b"".join(value(key, 100) for key in keys) + b"END\r\n"),
        "set 100 B": Load(b"set %s 0 0 100\r\n%s\r\n" % (keys[0], b"v" * 100), b"STORED\r\n"),
        "mg hit": Load(b"mg %s v Oabc\r\n" % keys[0], b"VA 100 Oabc\r\n%s\r\n" % (b"v" * 100)),
        **{f"{kind} get": Load(b"get %s\r\n" % key, value(key, 100) + b"END\r\n")
           for kind, key in (("sealed", SEALED), ("revocable", REVOCABLE))},
    }


def ask(proxy, wires, load):
    """One round. Several clients' requests are all there before the proxy looks."""
    if load.clients > 1:
        proxy.freeze()
    for wire in wires[:load.clients]:
        wire.send(load.request)
    if load.clients > 1:
        proxy.thaw()
    for wire in wires[:load.clients]:
        got = wire.take(len(load.reply))
        if got != load.reply:
            raise AssertionError(f"{load.request[:60]!r}: {got[-200:]!r}")


def play(proxy):
    """Each load a few times to warm up, then ROUNDS times between two marks of its own."""
    wires = [harness.Wire(proxy.port) for _ in range(CLIENTS)]
    for key in (*(b"key:%08d" % i for i in range(10)), SEALED, REVOCABLE):
        ask(proxy, wires, Load(b"set %s 0 0 100\r\n%s\r\n" % (key, b"v" * 100), b"STORED\r\n"))
    for load in loads().values():
        for _ in range(20):
            ask(proxy, wires, load)
        ask(proxy, wires, Load(f"{BEGIN}\r\n".encode(), b"END\r\n"))
        for _ in range(ROUNDS):
            ask(proxy, wires, load)
        ask(proxy, wires, Load(f"{END}\r\n".encode(), b"END\r\n"))


def happened(line):
    """Not for a wait that the tick or a thaw ended, nor for one that told of room to send and no more."""
    if "epoll_" not in line:
        return True
    return not TICK_OR_THAW.search(line) and ("EPOLLOUT" not in line or "EPOLLIN" in line)


def rounds_between_marks(lines):
    """For each pair of marks a list, with a list of calls for each time that a client's bytes were read."""
    found, worker = [], None
    for line in lines:
        call = COMPLETED.match(line)
        if not call:
            continue
        thread, name = call.groups()
        asked = ASKED.search(line)
        if asked and asked[1].startswith(BEGIN):
            worker = thread
            found.append([])
        elif asked and asked[1].startswith(END):
            worker = None
        elif thread == worker and asked:
            found[-1].append([name])
        elif thread == worker and found[-1] and happened(line):
            found[-1][-1].append(name)
    return found


def calls_of(reads, load):
    """The calls of a round: as many as at least half of the rounds took at most."""
    whole = [sum(reads[i:i + load.clients], []) for i in range(0, len(reads), load.clients)]
    return sorted(whole, key=len)[len(whole) // 2]


def count(binary):
    """{row: system calls per request}"""
    require_strace()
    node, keys = harness.Memcached(), sealed.KeyFile()
    with tempfile.TemporaryDirectory() as folder:
        trace = f"{folder}/trace"
        # -D: strace is the grandchild, and the proxy the process that we know and end.
        proxy = harness.Proxy(config=CONFIG % (node.address, keys.path), binary=binary,
                              wrapper=("strace", "-D", "-f", "-s", "40", "-o", trace))
        try:
            play(proxy)
        finally:
            proxy.finish()
            node.discard()
        harness.eventually(lambda: "+++ exited" in open(trace, encoding="utf-8").readlines()[-1], what="whole trace")
        with open(trace, encoding="utf-8", errors="replace") as file:
            found = rounds_between_marks(file)
    counts = {}
    for (row, load), reads in zip(loads().items(), found, strict=True):
        calls = collections.Counter(calls_of(reads, load))
        print(f"{row}: {', '.join(f'{name} {n}' for name, n in sorted(calls.items()))} in a round")
        counts[row] = sum(calls.values()) / load.per_round
    return counts
