"""Transcripts (tests/wire/README.md): reading them, and scripted peers to play them with."""
import dataclasses
import os
import re
import select
import socket
import time

from harness import ROOT, SLOW, TIMEOUT

DIRECTORY = f"{ROOT}/tests/wire"
ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|\{(.+?)\*(\d+)\}|\{now\+(\d+)\}|([rn\\]))")
OPAQUE = re.compile(rb"O@(.)")
KEY = re.compile(rb"[a-z]@[0-9]")


@dataclasses.dataclass
class Step:
    kind: str  # send, expect, close, end, eof, refuse, accept, version, wait, turn
    peer: str = ""  # C1, B0
    data: bytes = b""
    line: int = 0


@dataclasses.dataclass
class Transcript:
    name: str
    nodes: int = 1
    settings: dict = dataclasses.field(default_factory=dict)
    steps: list = dataclasses.field(default_factory=list)


def unescaped(text, now):
    """A line's bytes. CR LF is added unless its last escape says otherwise."""
    def one(match):
        byte, unit, count, seconds, letter = match.groups()
        if byte:
            return bytes([int(byte, 16)])
        if unit:
            return ESCAPE.sub(one, unit) * int(count)
        return b"%d" % (now + int(seconds)) if seconds else {b"r": b"\r", b"n": b"\n", b"\\": b"\\"}[letter]

    bare = ESCAPE.sub(lambda match: b"." * len(match[0]), text)
    if bare.endswith(b"\\"):
        return ESCAPE.sub(one, text[:-1])
    ended = text.endswith(b"\\n") and bare.endswith(b"..")
    return ESCAPE.sub(one, text) + (b"" if ended else b"\r\n")


def read(path, now):
    transcript = Transcript(os.path.basename(path).removesuffix(".wire"))
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line or line.startswith(b"#"):
            continue
        words = line.decode("latin-1").split(" ")
        peer = re.match(rb"([CB])(\d?)(?:([<>]) ?| )", line)
        if words[0] == "nodes":
            transcript.nodes = int(words[1])
        elif words[0] == "set":
            transcript.settings[words[1]] = words[2]
        elif words[0] in ("wait", "turn"):
            transcript.steps.append(Step(words[0], data=b" ".join(line.split()[1:]), line=number))
        elif peer:
            side, index, arrow = (part.decode() for part in peer.groups(b""))
            name = side + (index or ("1" if side == "C" else "0"))
            rest = line[peer.end():]
            if arrow:
                kind = "send" if (arrow == ">") == (side == "C") else "expect"
                transcript.steps.append(Step(kind, name, unescaped(rest, now), number))
            else:
                kind, _, data = rest.partition(b" ")
                transcript.steps.append(Step(kind.decode(), name, data, number))
        else:
            raise ValueError(f"{path}:{number}: unknown line")
    return transcript


class Opaques:
    """The proxy's own opaques, by number, bound where they are first seen."""

    def __init__(self):
        self.bound = {}

    def fill_in(self, data):
        return OPAQUE.sub(lambda match: self.bound[match[1]], data)

    def taken_from(self, inbox, pattern):
        """What of `inbox` matches the whole pattern; None when it does not begin like it."""
        at, bound = 0, dict(self.bound)
        for i, part in enumerate(OPAQUE.split(pattern)):
            found = inbox[at:at + (5 if i % 2 else len(part))]
            if i % 2 == 0 and found != part:
                return None
            if i % 2 == 1 and (not re.fullmatch(rb"O[\w-]{4}", found) or bound.setdefault(part, found) != found):
                return None
            at += len(found)
        self.bound = bound
        return at

    @staticmethod
    def size(pattern):
        return len(pattern) + 2 * len(OPAQUE.findall(pattern))


class Peer:
    """One end that the script plays: a client, or a node's end of one link."""

    def __init__(self, sock=None):
        self.socket, self.inbox, self.greeted = sock, b"", False
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket, self.greeted = None, False


class Node:
    """A listener whose connections are links in the order in which they come."""

    def __init__(self, links):
        self.links = [Peer() for _ in range(links)]
        self.version = b"1.6.18"
        self.port, self.listener = 0, None
        self.accept()

    def accept(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]

    def refuse(self):
        if self.listener is not None:
            self.listener.close()
        self.listener = None

    def close(self):
        self.refuse()
        for link in self.links:
            link.close()

    def settled(self):
        """Whether all that may be connected is."""
        return self.listener is None or self.version.startswith(b"1.5") or all(link.greeted for link in self.links)

    def take_connection(self):
        sock = self.listener.accept()[0]
        link = next((link for link in self.links if link.socket is None), None)
        if link is None:
            sock.close()
            raise AssertionError("more connections than links")
        inbox = link.inbox
        link.__init__(sock)
        link.inbox = inbox
        link.greeting = b""

    def greet(self, link, data):
        """Answers the version request in front; what follows is for the script."""
        link.greeting += data
        if link.greeting.startswith(b"version\r\n"):
            link.greeted = True
            link.inbox += link.greeting[9:]
            link.socket.sendall(b"VERSION %s\r\n" % self.version)
        elif not b"version\r\n".startswith(link.greeting):
            raise AssertionError(f"a node was greeted with {link.greeting!r}")


class Cast:
    """All peers of one play, pumped by one thread."""

    def __init__(self, nodes, links):
        self.nodes = [Node(links) for _ in range(nodes)]
        self.clients = {}

    def close(self):
        for peer in [*self.nodes, *self.clients.values()]:
            peer.close()

    def link(self, index):
        links = [link for node in self.nodes for link in node.links]
        return links[index]

    def pump(self, seconds=0.0):
        """Takes what has come; waits for something at most so long."""
        owners = {}
        for node in self.nodes:
            owners.update({link.socket: (node, link) for link in node.links if link.socket})
        owners.update({client.socket: (None, client) for client in self.clients.values() if client.socket})
        listeners = {node.listener: node for node in self.nodes if node.listener}
        ready, _, _ = select.select([*owners, *listeners], [], [], seconds)
        for sock in ready:
            if sock in owners:
                self._receive(*owners[sock])
        for sock in ready:
            if sock in listeners:
                listeners[sock].take_connection()

    def _receive(self, node, peer):
        try:
            data = peer.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            peer.close()
        elif node is not None and not peer.greeted:
            node.greet(peer, data)
        else:
            peer.inbox += data

    def until(self, check, seconds=TIMEOUT):
        """Pumps until check() is true; whether it came to be."""
        end = time.monotonic() + seconds
        while not check():
            if time.monotonic() > end:
                return False
            self.pump(0.02)
        return True

    def rest(self, ms):
        end = time.monotonic() + ms * SLOW / 1000
        while (left := end - time.monotonic()) > 0:
            self.pump(left)

    def send(self, peer, data):
        end = time.monotonic() + TIMEOUT
        while data and peer.socket is not None and time.monotonic() < end:
            try:
                data = data[peer.socket.send(data):]
            except BlockingIOError:
                self.pump(0.01)
            except ConnectionError:
                return  # The proxy closed it; what comes next will tell.
