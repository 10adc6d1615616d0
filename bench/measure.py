"""What is measured of a running process, and the two load drivers that put it under load."""
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from peers import LOAD_CPU, ROOT, TlsPort

TICK = os.sysconf("SC_CLK_TCK")
NO_QUESTIONS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Takes any certificate.
NO_QUESTIONS.check_hostname, NO_QUESTIONS.verify_mode = False, ssl.CERT_NONE


class Workload:
    """`clients` connections with `pipeline` requests in flight each; `mget` keys per get.

    `idle` further clients are connected and ask for nothing.
    """

    def __init__(self, clients, pipeline, sets, gets, size, mget=1, keys=20000, idle=0):
        self.clients, self.pipeline, self.sets, self.gets = clients, pipeline, sets, gets
        self.size, self.mget, self.keys, self.idle = size, mget, keys, idle

    def describe(self):
        kind = f"{self.mget}-key gets" if self.mget > 1 else f"{self.sets} set : {self.gets} get" if self.sets else "gets"
        more = f", {self.idle} more clients are idle" if self.idle else ""
        return f"{self.clients} clients x {self.pipeline} in flight, {kind}, {self.size} B values{more}"


WORKLOADS = {
    "p1-100": Workload(50, 1, 1, 10, 100),
    "p1-1k": Workload(50, 1, 1, 10, 1024),
    "p16-100": Workload(8, 16, 1, 10, 100),
    "p16-1k": Workload(8, 16, 1, 10, 1024),
    "mget10-100": Workload(50, 1, 0, 10, 100, mget=10),
    "mget100": Workload(16, 1, 0, 100, 100, mget=100),
    "64k": Workload(16, 1, 1, 10, 65536, keys=500),
    "512k": Workload(8, 1, 1, 10, 524288, keys=100),
    "c1-100": Workload(1, 1, 1, 10, 100),
    "c5-100": Workload(5, 1, 1, 10, 100),
    "c16-100": Workload(16, 1, 1, 10, 100),
    "hot-p1-100": Workload(50, 1, 0, 10, 100, keys=500),
    "hot-p16-100": Workload(8, 16, 0, 10, 100, keys=500),
    "idle1k-100": Workload(50, 1, 1, 10, 100, idle=1000),
    "idle10k-100": Workload(50, 1, 1, 10, 100, idle=10000),
}


def connect(port):
    client = socket.create_connection(("127.0.0.1", int(port)))
    return NO_QUESTIONS.wrap_socket(client) if isinstance(port, TlsPort) else client


def cpu_ns(pid):
    """CPU time of all threads, user and system."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def user_share(pid):
    """(user, system) seconds, by the clock tick."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def machine_busy():
    """Busy seconds of all CPUs together."""
    with open("/proc/stat", encoding="ascii") as file:
        f = [int(x) for x in file.readline().split()[1:9]]
    return (f[0] + f[1] + f[2] + f[5] + f[6]) / TICK


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


class OwnLoad:
    """bench/load: checks that every value belongs to its key."""

    name = "load"
    binary = f"{ROOT}/build-pgo/bench/load"

    def run(self, port, prefix, w, seconds, rate=0):
        return self._call(port, prefix, w, "--clients", w.clients, "--pipeline", w.pipeline, "--ratio",
                          f"{w.sets}:{w.gets}", "--mget", w.mget, "--seconds", seconds, "--rate", rate,
                          limit=seconds + 20)

    def fill(self, port, prefix, w):
        self._call(port, prefix, w, "--fill", "--clients", 4, "--pipeline", 8, limit=60)

    def _call(self, port, prefix, w, *more, limit):
        argv = ["taskset", "-c", LOAD_CPU, self.binary, "--port", port, "--prefix", prefix, "--keys", w.keys,
                "--size", w.size, *(["--tls"] if isinstance(port, TlsPort) else []), *more]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=limit, check=False)
        if not done.stdout:
            raise RuntimeError(done.stderr.strip())
        out = json.loads(done.stdout)
        out["errors"] += out["wrong"] + out["unanswered"]
        return out


class Memtier:
    """memtier_benchmark, where it is on PATH."""

    name = "memtier_benchmark"

    def run(self, port, prefix, w, seconds, rate=0):
        if rate:
            raise RuntimeError("an open loop needs --load own")
        mget = ["--multi-key-get", w.mget] if w.mget > 1 else []
        return self._call(port, prefix, w, "-c", w.clients, "--pipeline", w.pipeline, "--ratio",
                          f"{w.sets}:{w.gets}", *mget, "--test-time", seconds, limit=seconds + 20, seconds=seconds)

    def fill(self, port, prefix, w):
        self._call(port, prefix, w, "-c", 4, "--pipeline", 8, "--ratio", "1:0", "--key-pattern", "P:P",
                   "-n", "allkeys", limit=60)

    @staticmethod
    def _call(port, prefix, w, *more, limit, seconds=None):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            argv = ["taskset", "-c", LOAD_CPU, "memtier_benchmark", "-s", "127.0.0.1", "-p", port, "-P",
                    "memcache_text", "-t", 1, "-d", w.size, "--key-prefix", prefix, "--key-minimum", 1,
                    "--key-maximum", w.keys, "--distinct-client-seed", "--hide-histogram", "--json-out-file",
                    file.name, *(["--tls", "--tls-skip-verify"] if isinstance(port, TlsPort) else []), *more]
            done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=limit, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-400:])
            stats = json.load(open(file.name, encoding="utf-8"))["ALL STATS"]
        total, late = stats["Totals"], stats["Totals"]["Percentile Latencies"]
        # Its own Ops/sec divides by a run time that is off by up to a second.
        return {"requests": total["Count"], "rate": total["Count"] / seconds if seconds else 0,
                "p50_us": late["p50.00"] * 1e3, "p99_us": late["p99.00"] * 1e3, "p999_us": late["p99.90"] * 1e3,
                "misses": stats["Gets"]["Misses/sec"] * (seconds or 0),
                "errors": total["Connection Errors"] + len(re.findall(r"error|broken|dropped", done.stderr, re.I))}


def driver(choice):
    own = choice == "own" or (choice == "auto" and not shutil.which("memtier_benchmark"))
    return OwnLoad() if own else Memtier()


class IdleClients:
    """`count` connections for the length of a `with`. They end by a reset, which leaves no port waiting."""

    def __init__(self, port, count):
        self.port, self.count, self.sockets = port, count, []

    def __enter__(self):
        for _ in range(self.count):
            client = connect(self.port)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sockets.append(client)
        if self.count:
            time.sleep(0.5)

    def __exit__(self, *_):
        for client in self.sockets:
            client.close()
        if self.count:
            time.sleep(0.5)


def one_run(load, server, nodes, prefix, w, seconds, rate=0):
    """A run's figures: `us` is the CPU time per request of the server, `other` foreign CPU share."""
    with IdleClients(server.port, w.idle):
        return _run_now(load, server, nodes, prefix, w, seconds, rate)


def _run_now(load, server, nodes, prefix, w, seconds, rate):
    before_children, before_busy = os.times(), machine_busy()
    before, before_nodes, split = cpu_ns(server.pid), sum(cpu_ns(n.pid) for n in nodes), user_share(server.pid)
    start = time.monotonic()
    out = load.run(server.port, prefix, w, seconds, rate)
    wall = time.monotonic() - start
    used = (cpu_ns(server.pid) - before) / 1e9
    nodes_used = (sum(cpu_ns(n.pid) for n in nodes) - before_nodes) / 1e9
    after, split_after = os.times(), user_share(server.pid)
    load_used = sum(getattr(after, f) - getattr(before_children, f)
                    for f in ("children_user", "children_system", "user", "system"))
    user, system = (b - a for a, b in zip(split, split_after))
    out.update(us=used * 1e6 / max(1, out["requests"]), user=user / max(1e-9, user + system), util=used / wall,
               nodes=nodes_used / wall, load=load_used / wall,
               other=max(0.0, machine_busy() - before_busy - used - nodes_used - load_used) / wall)
    return out


def perf_works():
    if not shutil.which("perf"):
        return False
    done = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True, check=False)
    return done.returncode == 0


def syscalls_per_request(load, server, prefix, w, seconds=2):
    """In a run of its own, since tracing costs time; None where it cannot be counted."""
    with tempfile.NamedTemporaryFile("r") as file:
        perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(server.pid),
                                 "-o", file.name], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.3)
            requests = load.run(server.port, prefix, w, seconds)["requests"]
        finally:
            perf.send_signal(2)
            perf.wait(10)
        count = re.search(r"^(\d+),", file.read(), re.M)
    return int(count[1]) / requests if count else None


def memory_of_clients(server, count=1000):
    """KiB of resident memory for `count` idle clients, and for as many half-way through a 1 KiB set.

    REQUIRES: a server just started; pools of freed memory would hide the growth.
    """
    time.sleep(0.5)
    base = rss_kib(server.pid)
    clients = [connect(server.port) for _ in range(count)]
    try:
        time.sleep(1)
        idle = rss_kib(server.pid)
        for client in clients:
            client.sendall(b"set half 0 0 1024\r\n" + b"x" * 512)
        time.sleep(1)
        return {"base": base, "idle": idle - base, "half": rss_kib(server.pid) - base}
    finally:
        for client in clients:
            client.close()
