"""Every transcript of tests/wire against the real binary: what clients and nodes see, byte by byte."""
import functools
import glob
import os
import socket
import subprocess
import tempfile
import time
import unittest

from harness import BINARY, SLOW, Proxy
from transcript import DIRECTORY, KEY, Cast, Opaques, Peer, read

LONG_WAIT_MS = 1000  # A transcript that waits as long as this is about request_timeout's default.
SETTLE_MS = 5
EVENTS = ("send", "close", "end", "refuse", "accept", "version")


def config(transcript, ports):
    """The TOML that a transcript's settings ask for."""
    settings = dict(transcript.settings)
    settings.pop("runner", None)
    waits = [int(step.data) for step in transcript.steps if step.kind == "wait"]
    timeout_ms = 1000 if max(waits, default=0) >= LONG_WAIT_MS else 20_000
    nodes = ", ".join(f'{{ address = "127.0.0.1:{port}", name = "node{i}" }}' for i, port in enumerate(ports))
    lines = ['coalesce_max = "0us"']
    if size := settings.pop("value_bytes_max", None):
        lines += ["[limits]", f"value_bytes_max = {size}"]
    lines += ["[pools.default]", f"nodes = [{nodes}]", f'request_timeout = "{round(timeout_ms * SLOW)}ms"']
    if policy := settings.pop("on_failure", None):
        lines.append(f'on_failure = "{policy}"')
    if links := settings.pop("links_per_node", None):
        lines.append(f"links_per_node = {links}")
    lines += [f'{name} = "{settings.pop(name)}"' for name in ("on_node_down", "on_rejoin") if name in settings]
    if life := settings.pop("failover_ttl_s", None):
        lines.append(f"failover_ttl = {life}")
    lines += ["[[namespaces]]", 'prefix = ""', f"coalesce = {settings.pop('coalesce', 'false')}",
              f"ttl_cap = {settings.pop('ttl_cap_s', 0)}"]
    if settings:
        raise ValueError(f"{transcript.name}: unknown settings {settings}")
    return "\n".join(lines) + "\n"


@functools.cache
def keys_of(nodes):
    """For each node the keys that it has, as `tokenring where` tells."""
    names = [f"{letter}{number:03}" for letter in "abcdefgh" for number in range(60)]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        listed = ", ".join(f'{{ address = "127.0.0.1:{1 + i}", name = "node{i}" }}' for i in range(nodes))
        file.write(f"[pools.default]\nnodes = [{listed}]\n")
        file.flush()
        where = subprocess.run([BINARY, "where", "-c", file.name, *names], stdout=subprocess.PIPE, check=True)
    rows = [line.split("\t") for line in where.stdout.decode().splitlines()]
    return [[row[0].encode() for row in rows if row[3] == f"node{i}"] for i in range(nodes)]


class Play:
    """One transcript being played."""

    def __init__(self, transcript):
        self.transcript = transcript
        self.opaques = Opaques()
        links = int(transcript.settings.get("links_per_node", 1))
        self.cast = Cast(transcript.nodes, links)
        ports = [node.port for node in self.cast.nodes]
        self.proxy = Proxy([], "--workers", "1", config=config(transcript, ports))
        self.queue = []  # Events that reach the proxy at once.

    def end(self):
        self.cast.close()
        self.proxy.finish()

    def run(self):
        self.settle()
        # Clients by number, so that their links are known; last the one who only asks whether the
        # proxy has served all that came before.
        names = {step.peer for step in self.transcript.steps if step.peer.startswith("C")}
        for name in [*sorted(names), "barrier"]:
            self.cast.clients[name] = self.connected()
            self.cast.send(self.cast.clients[name], b"mn\r\n")
            self.take(self.cast.clients[name], b"MN\r\n", f"{name} greeted")
        self.find_links(sorted(names))
        for step in self.transcript.steps:
            self.step(step)
        self.perform()
        self.cast.rest(SETTLE_MS)
        self.check_nothing_left("at the end")

    def find_links(self, names):
        """Where nodes have several links: B0 is the one that C1's requests take, B1 that of C2."""
        for node in self.cast.nodes:
            if len(node.links) == 1:
                continue
            used = []
            for name in names:
                self.cast.send(self.peer(name), b"mg link v\r\n")
                if not self.cast.until(lambda: any(link.inbox for link in node.links)):
                    raise AssertionError(f"{name} has no link")
                link = next(link for link in node.links if link.inbox)
                self.cast.send(link, b"EN" + link.inbox.removeprefix(b"mg link v"))
                link.inbox = b""
                self.take(self.peer(name), b"EN\r\n", f"{name}'s link")
                used.append(link)
            node.links = used + [link for link in node.links if link not in used]

    def connected(self):
        return Peer(socket.create_connection(("127.0.0.1", self.proxy.port)))

    def step(self, step):
        where = f"{self.transcript.name}.wire:{step.line} {step.peer}"
        if step.kind in EVENTS:
            if not self.queue:
                self.check_nothing_left(f"before {where}")
            self.queue.append(step)
            return
        self.perform()
        if step.kind == "wait":
            self.cast.rest(int(step.data))
            self.settle()
        elif step.kind == "turn":
            self.barrier()
        elif step.kind == "eof":
            client = self.cast.clients[step.peer]
            if not self.cast.until(lambda: client.socket is None):
                raise AssertionError(f"{where}: was not closed")
        elif step.kind == "expect":
            self.take(self.peer(step.peer), self.with_keys(step.data), where)
        else:
            raise ValueError(f"{where}: unknown step {step.kind}")

    def peer(self, name):
        return self.cast.clients[name] if name.startswith("C") else self.cast.link(int(name[1:]))

    def node(self, name):
        links = len(self.cast.nodes[0].links)
        return self.cast.nodes[int(name[1:]) // links]

    def with_keys(self, data):
        def key(match):
            return next(k for k in keys_of(self.transcript.nodes)[int(match[0][2:])] if k[:1] == match[0][:1])
        return KEY.sub(key, data) if self.transcript.nodes > 1 else data

    def take(self, peer, pattern, where):
        """`peer` must get exactly this next."""
        size = self.opaques.size(pattern)
        self.cast.until(lambda: len(peer.inbox) >= size or (peer.socket is None and peer.inbox))
        taken = self.opaques.taken_from(peer.inbox, pattern)
        if taken is None:
            raise AssertionError(f"{where}: got {peer.inbox[:300]!r}\n  instead of {pattern[:300]!r}")
        peer.inbox = peer.inbox[taken:]

    def perform(self):
        """Lets the queued events happen: at once for the proxy, whoever they are from."""
        queue, self.queue = self.queue, []
        at_once = len({step.peer for step in queue if step.kind != "version"}) > 1
        if at_once:
            self.proxy.freeze()
            os.waitid(os.P_PID, self.proxy.pid, os.WSTOPPED)
        merged = []
        for step in queue:
            if step.kind == "send" and merged and merged[-1][:2] == ("send", step.peer):
                merged[-1] = ("send", step.peer, merged[-1][2] + step.data)
            else:
                merged.append((step.kind, step.peer, step.data))
        for kind, name, data in merged:
            self.act(kind, name, data)
        if at_once:
            self.proxy.thaw()

    def act(self, kind, name, data):
        if kind == "send":
            self.cast.send(self.peer(name), self.opaques.fill_in(self.with_keys(data)))
        elif kind == "close":
            self.cast.pump()  # An unread byte would make it a reset.
            self.peer(name).close()
        elif kind == "end":
            self.peer(name).socket.shutdown(socket.SHUT_WR)
        elif kind == "version":
            self.node(name).version = data
        elif kind == "refuse":
            self.node(name).refuse()
        else:
            self.node(name).accept()

    def barrier(self):
        """All that was sent before is served, for one worker takes events in their order."""
        client = self.cast.clients["barrier"]
        self.cast.send(client, b"version\r\n")
        if not self.cast.until(lambda: client.inbox.endswith(b"\r\n")):
            raise AssertionError("the proxy does not answer")
        client.inbox = b""

    def settle(self):
        """Links that may be up are."""
        if not self.cast.until(lambda: all(node.settled() for node in self.cast.nodes)):
            raise AssertionError(f"{self.transcript.name}: the proxy does not connect")
        if "barrier" in self.cast.clients:
            self.barrier()

    def check_nothing_left(self, where):
        self.barrier()
        peers = {f"B{i}": link for i, link in enumerate(l for node in self.cast.nodes for l in node.links)}
        for name, peer in {**self.cast.clients, **peers}.items():
            if peer.inbox:
                raise AssertionError(f"{where}: {name} got unasked {peer.inbox[:300]!r}")


class Transcripts(unittest.TestCase):
    def test_there_are_transcripts(self):
        self.assertGreater(len(glob.glob(f"{DIRECTORY}/*.wire")), 0)


def test_of(path):
    def test(self):
        transcript = read(path, int(time.time()))
        if transcript.settings.get("runner") == "engine":
            self.skipTest(f"{transcript.name}: for the engine only")
        play = Play(transcript)
        try:
            play.run()
        finally:
            play.end()
    return test


for wire in sorted(glob.glob(f"{DIRECTORY}/*.wire")):
    name = os.path.basename(wire).removesuffix(".wire")
    setattr(Transcripts, f"test_{name}", test_of(wire))


if __name__ == "__main__":
    unittest.main()
