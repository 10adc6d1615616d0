"""What the tests of sealed namespaces share: keys, configurations, a relay that records, and memory."""
import base64
import os
import queue
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading

from harness import BINARY, ROOT, Case

sys.path.insert(0, os.path.join(ROOT, "tests", "seal"))
try:
    import envelope
except ImportError:
    envelope = None  # Without python3-cryptography.

SPACE = b"sess:"


def keygen(*options):
    """A key file's text, or with --master one line of one."""
    return subprocess.run([BINARY, "keygen", *options], capture_output=True, check=True, text=True).stdout


class KeyFile:
    """A file with the keys; `lines` is (word, base64) for each key."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "keys")
        self.lines = self.parsed(keygen())
        self.write()

    @staticmethod
    def parsed(text):
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        return [tuple(line) for line in lines if line and line[0] != "tokenring-keys"]

    def write(self, text=None, mode=0o600):
        if text is None:
            text = "tokenring-keys 1\n" + "".join(f"{word} {key}\n" for word, key in self.lines)
        with tempfile.NamedTemporaryFile("w", dir=self.folder.name, delete=False) as file:
            file.write(text)
        os.chmod(file.name, mode)
        os.replace(file.name, self.path)

    def add_master(self):
        """A new key that opens; its line's base64."""
        key = self.parsed(keygen("--master"))[0][1]
        self.lines.append(("master", key))
        self.write()
        return key

    def promote(self, key):
        """It seals from now on; the old primary still opens."""
        self.lines = [("primary" if k == key else "master" if word == "primary" else word, k)
                      for word, k in self.lines]
        self.write()

    def retire(self, key):
        self.lines = [line for line in self.lines if line[1] != key]
        self.write()

    def primary(self):
        return next(key for word, key in self.lines if word == "primary")

    def keys(self):
        """As the second implementation has them: {"primary": bytes, ...}"""
        with open(self.path, encoding="ascii") as file:
            return envelope.read_keys(file.read())


def nodes_line(nodes):
    return ", ".join(f'"{getattr(n, "address", n)}"' for n in nodes)


def shapes_of(secret):
    """All forms in which a secret would be found: as it is, coded, and by its 16-byte pieces."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    forms |= {secret[at:at + 16] for at in range(0, len(secret) - 15, 8)}
    for shift in range(3):  # base64 of whatever text it may stand in
        inner = base64.b64encode(bytes(shift) + secret)[4:-4]
        forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def usual_commands(key, value, coded):
    """Those of both dialects that carry a key or a value; `coded`: a key in base64."""
    n = len(value)
    yield b"cas %s 0 0 %d 1\r\n%s\r\n" % (key, n, value)
    yield b"get %s %s+\r\ngets %s\r\ngat 100 %s\r\ngats 100 %s\r\n" % (key, key, key, key, key)
    yield b"incr %s 1\r\ndecr %s 1\r\ntouch %s 100\r\n" % (key, key, key)
    yield b"incr %s? 1\r\ntouch %s! 9\r\ndelete %s!\r\n" % (key, key, key)
    for mode in (b"S", b"R", b"A", b"P", b"E"):
        yield b"ms %s %d M%s F9 T100 k c Oo1\r\n%s\r\n" % (key, n, mode, value)
    yield b"ms %s %d b T100\r\n%s\r\n" % (coded, n, value)


def config(nodes, keys, rules='seal = "require"\nblind_keys = true\n', prefix=SPACE.decode(), more="", pool=""):
    return (f'[pools.p]\nnodes = [{nodes_line(nodes)}]\n{pool}\n[keys]\nfile = "{keys.path}"\n{more}\n'
            f'[[namespaces]]\nprefix = ""\n[[namespaces]]\nprefix = "{prefix}"\n{rules}')


class Relay:
    """Between proxy and node; keeps all bytes of both directions. REQUIRES: stop() is called."""

    def __init__(self, node):
        self.node = node
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.bytes = bytearray()
        self.lock = threading.Lock()
        self.ends = queue.SimpleQueue()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.node.port))
            self.ends.put(near)
            self.ends.put(far)
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        try:
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    with self.lock:
                        self.bytes += data
                    (far if end is near else near).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            near.close()
            far.close()

    def seen(self):
        with self.lock:
            return bytes(self.bytes)

    def stop(self):
        self.listener.close()
        while not self.ends.empty():
            try:
                self.ends.get().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def memory_of(pid):
    """Every piece of a process's memory that can be read."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not found:
                continue
            at, end = int(found[1], 16), int(found[2], 16)
            overlap = b""
            while at < end:
                try:
                    memory.seek(at)
                    piece = memory.read(min(end - at, 1 << 22))
                except OSError:
                    break
                if not piece:
                    break
                yield overlap + piece
                overlap, at = piece[-512:], at + len(piece)


class SealedCase(Case):
    def setUp(self):
        self.keys = KeyFile()
        self.addCleanup(self.keys.folder.cleanup)

    def require_readable(self, proxy):
        """Skips the rest where memory_of(proxy.pid) would take for ever."""
        if proxy.memory_kib("VmSize") > 1 << 30:
            self.skipTest("a sanitizer's shadow is too much to be read")

    def sealed(self, nodes, *options, **more):
        """A proxy with a sealed namespace before them."""
        return self.proxy((), *options, config=config(nodes, self.keys, **more))

    def tallies(self, wire, prefix=SPACE.decode()):
        """stats namespaces of one of them, by name."""
        wire.send(b"stats namespaces\r\n")
        lines = wire.until(b"END\r\n").decode().splitlines()
        start = f"STAT {prefix}:"
        return {line[len(start):].rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1])
                for line in lines if line.startswith(start)}

    def blinded(self, key, space=SPACE):
        """The key as a node sees it."""
        tag = re.search(rb"\{([^}]+)\}", key)
        return envelope.blind(self.keys.keys()["blind"], space, key, tag[1] if tag else b"")
