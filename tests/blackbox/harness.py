"""Real processes for black-box tests: memcached nodes, the proxy, and raw sockets to them.

Environment: TOKENRING_BIN (default ../../build/src/app/tokenring), TOKENRING_SLOW (factor for every
deadline, for sanitizer builds), TOKENRING_WORKERS, TOKENRING_SHORT=1 (leave slow tests out).
Everything listens on 127.0.0.1 and dies with the test program.
"""
import ctypes
import fcntl
import itertools
import os
import random
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("TOKENRING_BIN", f"{ROOT}/build/src/app/tokenring"))
SLOW = float(os.environ.get("TOKENRING_SLOW", "1"))
WORKERS = os.environ.get("TOKENRING_WORKERS", "1")
SHORT = os.environ.get("TOKENRING_SHORT") == "1"
TIMEOUT = 5 * SLOW  # seconds; the longest a correct answer may take
SHOWN = 6000  # characters of a process's output, where it failed

# What a read is told when its node could not answer: a miss or one error line, never a value.
FAILED_READ = re.compile(rb"(END|EN|SERVER_ERROR [^\r\n]+)\r\n")
SERVER_ERROR = re.compile(rb"SERVER_ERROR [^\r\n]+\r\n")

COMPLAINT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")

slow = unittest.skipIf(SHORT, "left out of the short run")
resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
_libc = ctypes.CDLL(None)
PORTS = range(20000, 32000)  # Below the ephemeral range, so that no outgoing connection takes one.
PORTS_AT_ONCE = 200


def _own_ports():
    """Ports that no other test program uses, so that a node that is dead for a while keeps its own."""
    blocks = list(range(PORTS.start, PORTS.stop, PORTS_AT_ONCE))
    random.SystemRandom().shuffle(blocks)
    for block in blocks:
        lock = open(os.path.join(tempfile.gettempdir(), f"tokenring-ports-{block}.lock"), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _locks.append(lock)  # Held until this program ends.
        return itertools.cycle(range(block, block + PORTS_AT_ONCE))
    raise RuntimeError("all ports are in use by other tests")


_locks = []
_ports = _own_ports()


def free_port():
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def eventually(check, seconds=None, what="condition"):
    """Polls check() until it is true; returns what it returned."""
    end = time.monotonic() + (seconds or TIMEOUT)
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds or TIMEOUT} s")
        time.sleep(0.01)


class Process:
    """A server of ours on one port; it can be killed, frozen and started again on the same port."""

    def __init__(self, argv, port, env=None):
        self.argv, self.port, self.env = [str(a) for a in argv], port, env
        self.address = f"127.0.0.1:{port}"
        self.log = tempfile.TemporaryFile()
        self.child = None
        self.start()

    def start(self):
        self.child = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, **(self.env or {})}, preexec_fn=_die_with_parent)
        eventually(self._listens, 10 * SLOW, " ".join(self.argv))

    def _listens(self):
        if self.child.poll() is not None:
            raise AssertionError(f"{self.argv} ended at once:\n{self.output()[-SHOWN:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def output(self):
        """All that it has said. It writes where this file's offset is, so that must not be moved."""
        log = self.log.fileno()
        return os.pread(log, os.fstat(log).st_size, 0).decode(errors="replace")

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def freeze(self):
        """Stops it, and returns when every thread stands still: a signal only asks."""
        self.child.send_signal(signal.SIGSTOP)
        eventually(self._stands, 10 * SLOW, f"process {self.pid} stands still")

    def _stands(self):
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/stat", encoding="ascii") as stat:
                if stat.read().rpartition(")")[2].split()[0] not in "Tt":
                    return False
        return True

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()

    def restart(self):
        self.kill()
        self.start()

    def stop(self):
        """Asks it to end; returns its exit code."""
        if self.alive():
            self.thaw()
            self.child.terminate()
            try:
                self.child.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.child.returncode

    def discard(self):
        self.kill()
        self.log.close()

    def rss_kib(self):
        return self.memory_kib("VmRSS")

    def memory_kib(self, which):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"{which}:\s+(\d+)", status.read())[1])


class Memcached(Process):
    def __init__(self, *options):
        port = free_port()
        super().__init__(["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-u", "root",
                          "-t", 1, "-c", 2048, *options], port)


class Proxy(Process):
    def __init__(self, nodes=(), *options, config=None, binary=BINARY, port=None, env=None, wrapper=()):
        """`nodes`: Processes, LyingNodes or addresses; none: the embedded node. `config`: TOML.
        `wrapper`: a command that starts the proxy's."""
        port = port or free_port()
        argv = [binary, "--listen", f"127.0.0.1:{port}"]
        self.config_file, self.may_end = None, False
        if config is not None:
            self.config_file = tempfile.NamedTemporaryFile("w", suffix=".toml")
            self.configure(config)
            argv += ["-c", self.config_file.name]
        elif nodes:
            argv += ["--nodes", ",".join(getattr(n, "address", n) for n in nodes)]
        if "--workers" not in options:
            argv += ["--workers", WORKERS]
        super().__init__([*wrapper, *argv, *options], port, env)

    def _listens(self):
        """At every address, of which `port` is the first that it opens."""
        return super()._listens() and (self.argv.count("--listen") == 1 or "listening on" in self.output())

    def configure(self, config):
        """Puts another text into the configuration file, at once as a whole."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
            file.write(config)
        os.replace(file.name, self.config_file.name)

    def ask(self, command):
        """`tokenring COMMAND` for this proxy: (exit code, output, errors)"""
        argv = [BINARY, command, "--listen", self.address]
        if self.config_file:
            argv += ["-c", self.config_file.name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=8 * TIMEOUT, check=False)
        return done.returncode, done.stdout, done.stderr

    def status(self):
        """What `tokenring status` says, by name; empty while it cannot be asked."""
        code, output, _ = self.ask("status")
        return {} if code else dict(line.split(" ", 1) for line in output.splitlines()[1:])

    def wait_for_control(self):
        return eventually(self.status, what="control socket")

    def says(self, text):
        """Waits for a text in its log."""
        return eventually(lambda: text in self.output(), 2 * TIMEOUT, f"log has {text!r}")

    def wait_for_end(self, seconds=4 * TIMEOUT):
        """It is to end by itself; its exit code."""
        self.may_end = True
        return self.child.wait(seconds)

    def finish(self):
        """A proxy that crashed, or that a sanitizer complained of, fails its test."""
        died = not self.alive() and not self.may_end
        code = self.stop()
        output = self.output()
        self.discard()
        if died or code not in (0, -signal.SIGTERM) or COMPLAINT.search(output):
            raise AssertionError(f"the proxy ended with {code}:\n{output[-SHOWN:]}")


class Wire:
    """A raw client connection whose every wait has a deadline."""

    def __init__(self, place):
        """`place`: a port of 127.0.0.1, (host, port), or the path of a unix socket."""
        if isinstance(place, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT)
            self.socket.connect(place)
        else:
            host_port = ("127.0.0.1", place) if isinstance(place, int) else place
            self.socket = socket.create_connection(host_port, TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def send(self, data):
        self.socket.settimeout(TIMEOUT)
        self.socket.sendall(data)

    def _receive(self, before):
        """What comes next; nothing at the end of the stream."""
        self.socket.settimeout(TIMEOUT)
        try:
            return self.socket.recv(1 << 18)
        except TimeoutError:
            raise AssertionError(f"no more within the deadline after {before[-200:]!r}") from None
        except ConnectionError:
            return b""

    def _more(self):
        """False at the end of the stream."""
        data = self._receive(self.pending)
        self.pending += data
        return bool(data)

    def take(self, count):
        """In time that grows with `count` only, for those whom a server does not wait for long."""
        pieces, missing = [self.pending], count - len(self.pending)
        while missing > 0 and (data := self._receive(pieces[-1])):
            pieces.append(data)
            missing -= len(data)
        data = b"".join(pieces)
        data, self.pending = data[:count], data[count:]
        return data

    def until(self, mark):
        """Everything up to and with `mark`; what there was if the stream ends before."""
        start = 0
        while (at := self.pending.find(mark, start)) < 0:
            start = max(0, len(self.pending) - len(mark))
            if not self._more():
                data, self.pending = self.pending, b""
                return data
        at += len(mark)
        data, self.pending = self.pending[:at], self.pending[at:]
        return data

    def line(self):
        return self.until(b"\r\n")

    def command(self, data):
        """Sends `data` and returns everything answered before the MN of an added `mn`."""
        self.send(data + b"mn\r\n")
        return self.until(b"MN\r\n").removesuffix(b"MN\r\n")

    def get(self, key):
        """The value, or None for a miss."""
        reply = self.command(b"mg %s v\r\n" % key)
        if reply == b"EN\r\n":
            return None
        head, _, rest = reply.partition(b"\r\n")
        if not re.fullmatch(rb"VA \d+", head):
            raise AssertionError(f"get {key!r}: {reply[:200]!r}")
        return rest.removesuffix(b"\r\n")

    def set(self, key, value, exptime=0, flags=0):
        reply = self.command(b"set %s %d %d %d\r\n%s\r\n" % (key, flags, exptime, len(value), value))
        if reply != b"STORED\r\n":
            raise AssertionError(f"set {key!r}: {reply[:200]!r}")

    def at_end(self):
        """True once the server has closed and nothing was left unread."""
        return not self.pending and not self._more()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Case(unittest.TestCase):
    """Starts servers that end with the test."""

    maxDiff = 2000

    def memcached(self, *options):
        node = Memcached(*options)
        self.addCleanup(node.discard)
        return node

    def proxy(self, nodes=(), *options, **more):
        proxy = Proxy(nodes, *options, **more)
        self.addCleanup(proxy.finish)
        return proxy

    def fleet(self, count, *options):
        """(nodes, proxy before them)"""
        nodes = [self.memcached() for _ in range(count)]
        return nodes, self.proxy(nodes, *options)

    def wire(self, server):
        wire = Wire(server.port)
        self.addCleanup(wire.close)
        return wire

    def ask(self, wire, data, expected):
        """`data` is answered by exactly `expected` (bytes, or a compiled pattern), no more."""
        reply = wire.command(data)
        if isinstance(expected, bytes):
            self.assertEqual(reply[:600], expected[:600], f"after {data[:120]!r}")
            self.assertEqual(len(reply), len(expected), f"after {data[:120]!r}")
        elif not expected.fullmatch(reply):
            self.fail(f"{data[:120]!r} was answered {reply[:600]!r}, not {expected.pattern!r}")
        return reply

    def keys_on(self, proxy, nodes, each=2, prefix=b"k"):
        """For every node `each` keys that the proxy places on it; their value is the key itself."""
        wires = [self.wire(n) for n in nodes]
        client = self.wire(proxy)
        found = [[] for _ in nodes]
        for number in range(2000):
            key = b"%s%d" % (prefix, number)
            client.set(key, key)
            for keys, wire in zip(found, wires):
                if wire.get(key) is not None:
                    keys.append(key)
            if all(len(keys) >= each for keys in found):
                return [keys[:each] for keys in found]
        raise AssertionError("some node gets no keys")
