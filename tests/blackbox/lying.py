"""A node that lies: a relay before a real memcached that can tamper with chosen replies.

A lie is a function of the true reply's bytes that gives the steps to take instead: bytes to send,
a number of seconds to wait, or CLOSE. Later replies on the connection wait for it, as on a real node.
"""
import collections
import queue
import re
import socket
import threading
import time

CLOSE = object()


# A text get has no opaque: its key is the proof. HEAD is what stands before a value's length.
HEAD = rb"^(VA |VALUE \S+ \d+ )"


def wrong_opaque(reply):
    return [re.sub(rb"^VALUE \S+", b"VALUE forged", re.sub(rb" O[^ \r]*", b" Oforged", reply, count=1))]


def half_reply(reply):
    return [reply[:len(reply) // 2], CLOSE]


def reply_twice(reply):
    return [reply + reply]


def unasked_reply(reply):
    return [reply + b"HD\r\n"]


def garbage(_):
    return [b"\x00\xfe\x80 garbage without sense\r\n" * 3]


def endless_line(_):
    return [b"A" * 300_000]


def no_reply(_):
    return []


def hang_up(_):
    return [CLOSE]


def huge_length(reply):
    return [re.sub(HEAD + rb"\d+", rb"\g<1>99999999999999999999", reply)]


def longer_length(reply):
    return [re.sub(HEAD + rb"(\d+)", lambda m: b"%s%d" % (m[1], int(m[2]) + 3), reply)]


def shorter_length(reply):
    return [re.sub(HEAD + rb"(\d+)", lambda m: b"%s%d" % (m[1], int(m[2]) - 1), reply)]


def other_dialect(reply):
    if reply.startswith(b"VA "):
        return [b"VALUE x 0 1\r\nx\r\nEND\r\n"]
    return [b"VA 1\r\nx\r\n" if reply.startswith(b"VALUE") else b"STORED\r\n"]


def late(seconds):
    return lambda reply: [seconds, reply]


class LyingNode:
    """REQUIRES: stop() is called; `real` is the memcached behind it."""

    def __init__(self, real):
        self.real = real
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.request_lines = []  # as the proxy sent them
        self.lies = collections.defaultdict(list)  # key: lies for its next replies
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lie_about(self, key, *lies):
        self.lies[key] += lies

    def stop(self):
        self.listener.close()
        for connection in list(self.connections):
            _shut(connection)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                node = socket.create_connection(("127.0.0.1", self.real.port))
            except OSError:
                return
            self.connections += [client, node]
            asked = queue.SimpleQueue()
            for work in (self._requests, self._replies):
                threading.Thread(target=self._guard, args=(work, client, node, asked), daemon=True).start()

    @staticmethod
    def _guard(work, client, node, asked):
        try:
            work(client, node, asked)
        except (OSError, ValueError, queue.Empty):
            pass
        finally:
            _shut(client)
            _shut(node)

    def _requests(self, client, node, asked):
        stream = client.makefile("rb")
        while line := stream.readline():
            words = line.split()
            self.request_lines.append(line)
            asked.put(words[1] if len(words) > 1 else b"")
            body = b""
            if words[:1] == [b"ms"]:
                node.sendall(line)  # The node may answer a header at once.
                line, body = b"", stream.read(int(words[2]) + 2)
            node.sendall(line + body)

    def _replies(self, client, node, asked):
        stream = node.makefile("rb")
        while reply := _read_reply(stream):
            lies = self.lies[asked.get(timeout=5)]
            for step in lies.pop(0)(reply) if lies else [reply]:
                if step is CLOSE:
                    return
                if isinstance(step, bytes):
                    client.sendall(step)
                else:
                    time.sleep(step)


def _read_reply(stream):
    line = stream.readline()
    if line.startswith(b"VA "):
        return line + stream.read(int(line.split()[1]) + 2)
    if line.startswith(b"VALUE "):
        return line + stream.read(int(line.split()[3]) + 2) + _read_reply(stream)
    if line.startswith(b"STAT "):
        return line + _read_reply(stream)
    return line


def _shut(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
