"""Starts the memcached nodes and the proxies that are compared, each on a free local port.

Whatever is measured runs on CPU 0, everything else on CPU 1, so that the two do not compete. Only
two workers have both.
"""
import ctypes
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROXY_CPU, LOAD_CPU = 0, 1 if (os.cpu_count() or 1) > 1 else 0
NODES = 4
HAPROXY_CLIENTS_MAX = 8000  # Each takes two descriptors, of which a process often has 20,000.
_ports = itertools.count(random.SystemRandom().randrange(20000, 30000))

HAPROXY = """
global
    nbthread 1
    maxconn {clients_max}
defaults
    mode tcp
    timeout connect 2s
    timeout client 600s
    timeout server 600s
frontend clients
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
{servers}
"""

TWEMPROXY = """
pool:
  listen: 127.0.0.1:{port}
  hash: md5
  distribution: ketama
  timeout: 2000
  backlog: 1024
  preconnect: true
  auto_eject_hosts: false
  server_connections: 1
  servers:
{servers}
"""

TLS = """
listen = {{ address = "127.0.0.1:{port}", tls = "front" }}
[pools.nodes]
nodes = [{nodes}]
[tls.front]
certificate = "{certificate}"
key = "{key}"
"""

SEALED = """
[pools.nodes]
nodes = [{nodes}]
[keys]
file = "{keys}"
[[namespaces]]
prefix = ""
seal = "require"
blind_keys = true
{rules}
"""

MEMCACHED_PROXY = """
function mcp_config_pools(old)
    mcp.backend_connect_timeout(2)
    mcp.backend_read_timeout(2)
    local nodes = {{
{servers}
    }}
    return mcp.pool(nodes, {{
        dist = mcp.dist_ring_hash, hash = mcp.dist_ring_hash.hash,
        omode = "ketama", obuckets = 160, iothread = false,
    }})
end
function mcp_config_routes(pool)
    local route = mcp.funcgen_new()
    local nodes = route:new_handle(pool)
    route:ready({{ n = "direct", f = function(rctx)
        return function(r) return rctx:enqueue_and_wait(r, nodes) end
    end }})
    mcp.attach(mcp.CMD_ANY_STORAGE, route)
end
"""


def cpus_of(peer):
    return f"{PROXY_CPU},{LOAD_CPU}" if peer == "workers2" else PROXY_CPU


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    while True:
        port = 20000 + (next(_ports) - 20000) % 12000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class TlsPort(int):
    """A port where TLS is spoken."""


class Server:
    """One process on one CPU. `argv(port, write)` gives its command; write(text) -> a file's path."""

    def __init__(self, name, argv, cpu):
        self.name, self.port, self.files = name, free_port(), []
        if name == "tls":
            self.port = TlsPort(self.port)
        self.argv = ["taskset", "-c", str(cpu), *map(str, argv(self.port, self._write))]
        self.log = tempfile.TemporaryFile()
        self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                      stderr=self.log, preexec_fn=_die_with_parent)
        end = time.monotonic() + 10
        while not self._listens():
            if self.child.poll() is not None or time.monotonic() > end:
                self.stop()
                self.log.seek(0)
                raise RuntimeError(f"{name} does not start: {self.log.read()[-800:].decode(errors='replace')}")
            time.sleep(0.02)
        time.sleep(0.3)  # It connects to its nodes.

    def _write(self, text):
        file = tempfile.NamedTemporaryFile("w", prefix="bench-")
        file.write(text)
        file.flush()
        self.files.append(file)
        return file.name

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pid(self):
        return self.child.pid

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        for file in self.files:
            file.close()


def memcached(port, *options):
    return ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1, "-c", 16384, *options]


def start_nodes():
    return [Server(f"node{i}", lambda port, _: memcached(port, "-m", 1024), LOAD_CPU) for i in range(NODES)]


def _tokenring(nodes, binary, extra, workers=1):
    addresses = ",".join(f"127.0.0.1:{n.port}" for n in nodes)
    return lambda port, _: [binary, "--listen", f"127.0.0.1:{port}", "--nodes", addresses, "--workers", workers, *extra]


def _sealed(nodes, binary, extra, rules=""):
    """The same proxy, with sealed values and hidden keys, and further rules."""
    keys = subprocess.run([binary, "keygen"], capture_output=True, text=True, timeout=10, check=True).stdout
    addresses = ", ".join(f'"127.0.0.1:{n.port}"' for n in nodes)
    return lambda port, write: [binary, "--listen", f"127.0.0.1:{port}", "--workers", 1, "-c",
                                write(SEALED.format(nodes=addresses, keys=write(keys), rules=rules)), *extra]


def _tls(nodes, binary, extra):
    """The same proxy, with TLS to its clients."""
    made = {}
    for what, command in (("key", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
                          ("certificate", ["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=bench", "-days", "30"])):
        made[what] = subprocess.run(["openssl", *command], input=made.get("key", ""), capture_output=True, text=True,
                                    timeout=10, check=True).stdout
    addresses = ", ".join(f'"127.0.0.1:{n.port}"' for n in nodes)
    return lambda port, write: [binary, "--workers", 1, "-c", write(TLS.format(
        port=int(port), nodes=addresses, certificate=write(made["certificate"]), key=write(made["key"]))), *extra]


def _twemproxy(nodes):
    servers = "\n".join(f"   - 127.0.0.1:{n.port}:1 {n.name}" for n in nodes)
    return lambda port, write: ["nutcracker", "-c", write(TWEMPROXY.format(port=port, servers=servers)),
                                "-a", "127.0.0.1", "-s", free_port(), "-v", 4]


def _haproxy(nodes):
    servers = "\n".join(f"    server {n.name} 127.0.0.1:{n.port} maxconn 8000" for n in nodes)
    return lambda port, write: ["haproxy", "-db", "-f", write(HAPROXY.format(port=port, clients_max=HAPROXY_CLIENTS_MAX,
                                                                              servers=servers))]


def _memcached_proxy(nodes, binary):
    servers = "\n".join(f'        mcp.backend({{ label = "{n.name}", host = "127.0.0.1", port = {n.port}, '
                        f"connections = 1 }})," for n in nodes)
    return lambda port, write: [binary, *memcached(port)[1:], "-m", 64, "-o",
                                "proxy_config=" + write(MEMCACHED_PROXY.format(servers=servers))]


def memcached_with_proxy():
    """A memcached built with its proxy, or None: MEMCACHED_PROXY, else the usual names on PATH."""
    chosen = os.environ.get("MEMCACHED_PROXY")
    for name in [chosen] if chosen else ["memcached-proxy", "memcached-1.6.45", "memcached"]:
        path = shutil.which(name)
        if path:
            usage = subprocess.run([path, "-h"], capture_output=True, text=True, timeout=10, check=False)
            if "proxy_config" in usage.stdout + usage.stderr:
                return path
    return None


def available(binary, extra=()):
    """name: function of the nodes that gives the command; only the peers this machine has."""
    found = {"tokenring": lambda nodes: _tokenring(nodes, binary, extra)}
    found["workers2"] = lambda nodes: _tokenring(nodes, binary, extra, workers=2)
    if not extra:
        found["sealed"] = lambda nodes: _sealed(nodes, binary, extra)
        found["tls"] = lambda nodes: _tls(nodes, binary, extra)
        found["revocable"] = lambda nodes: _sealed(nodes, binary, extra, "revocable = true")
        found["near"] = lambda nodes: _sealed(nodes, binary, extra, 'near = { bytes = "64MiB", ttl = "1s" }')
    path = memcached_with_proxy()
    if path:
        found["mcproxy"] = lambda nodes: _memcached_proxy(nodes, path)
    if shutil.which("nutcracker"):
        found["twemproxy"] = _twemproxy
    if shutil.which("haproxy"):
        found["haproxy"] = _haproxy
    if shutil.which("memcached"):
        found["memcached"] = lambda nodes: lambda port, _: memcached(port, "-m", 1024)
    return found


def version_of(name, binary):
    command = {**dict.fromkeys(("tokenring", "workers2", "sealed", "tls", "revocable", "near"), [binary, "--version"]),
               "mcproxy": [memcached_with_proxy(), "-V"], "twemproxy": ["nutcracker", "-V"],
               "haproxy": ["haproxy", "-v"], "memcached": ["memcached", "-V"]}[name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    line = (done.stdout + done.stderr).strip().split("\n")[0]
    return re.sub(r" - http\S*", "", line)
