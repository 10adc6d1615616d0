"""Clients for a long run: each reads and writes, and holds every value against what was ever written.

A value names its key and the number of its write, so that one of another key, a half one and one
that nobody wrote are seen. Older values and misses are allowed: nodes fail, restart and flush.
"""
import random
import re
import threading
import time

from harness import TIMEOUT, Wire

# What README.md names for nodes that fail, and for too much in flight.
ALLOWED = re.compile(rb"SERVER_ERROR (node is down|connection to node lost|node timed out|"
                     rb"bad reply from node|node refused the request|too many requests in flight)")
# What libmemcached says of a connection that was closed, by where it noticed: FAILURE (1), CONNECTION_FAILURE,
# WRITE_FAILURE (5), UNKNOWN_READ_FAILURE (7), ERRNO (26), SERVER_MARKED_DEAD (35), SERVER_TEMPORARILY_DISABLED (47).
ENDED = re.compile(r"error (1|3|5|7|26|35|47) from ")
FLAGS = (b"0", b"64")  # Of libraries, and of raw sockets. To pylibmc neither means anything but bytes.
KEYS = 12
SIZES = (0, 5, 60, 400, 3000, 20_000)  # The last is moved and not copied on its way.


def value_of(key, number):
    head = b"%s|%d|" % (key, number)
    return head + (b"END\r\nHD\r\n" if number % 5 == 0 else b"0123456789") * (SIZES[number % len(SIZES)] // 10)


class Soaker(threading.Thread):
    """`wrong` lists what must not be; `answers`, `failures` and `closed` count what was."""

    written = {}  # By key: the number of the youngest write, noted before it is sent.
    numbers = 0

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port, self.chance = port, random.Random(seed)
        self.name = f"{type(self).__name__}{Soaker.numbers}"
        self.prefix = b"%ssoak%d:" % (b"cap:" if Soaker.numbers % 2 else b"", Soaker.numbers)
        Soaker.numbers += 1
        self.wrong, self.answers, self.failures, self.closed, self.ending = [], 0, 0, 0, False

    def run(self):
        while not self.ending and not self.wrong:
            try:
                self.session()
            except OSError:
                self.closed += 1
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.wrong.append(f"{self.name}: {error!r}")

    def session(self):
        """One connection, until it or the run ends."""
        raise NotImplementedError

    @staticmethod
    def pause():
        time.sleep(0.002)  # All share one interpreter; who makes the trouble must have its turns.

    def own_key(self):
        return b"%s%d" % (self.prefix, self.chance.randrange(KEYS))

    def any_key(self):
        """Mostly its own, for others' writes are read too; some are asked for by all."""
        return self.own_key() if self.chance.random() < 0.5 else self.chance.choice(list(Soaker.written) or [b"none"])

    def next_value(self, key):
        Soaker.written[key] = number = Soaker.written.get(key, 0) + 1
        return value_of(key, number)

    def check(self, key, value):
        self.answers += 1
        match = re.match(rb"(.*?)\|(\d+)\|", value)
        good = (match and match[1] == key and 0 < int(match[2]) <= Soaker.written.get(key, 0)
                and value == value_of(key, int(match[2])))
        assert good, f"{key!r} had {value[:80]!r} ({len(value)} bytes), written {Soaker.written.get(key)}"

    def check_line(self, line, *good):
        self.answers += 1
        if ALLOWED.match(line):
            self.failures += 1
        else:
            assert line in good, f"answered {line[:100]!r} and not one of {good}"


class RawSoaker(Soaker):
    """Pipelines over a socket. The proxy may close it only when it is replaced."""

    def session(self):
        wire = Wire(self.port)
        try:
            while not self.ending:
                self.pause()
                readers, out = [], b""
                for _ in range(self.chance.randrange(1, 16)):
                    data, reader = self.request()
                    out += data
                    readers.append(reader)
                wire.send(out)
                for reader in readers:
                    reader(wire)
        finally:
            wire.close()

    @staticmethod
    def whole(line):
        """The line without its end; a connection that ended within it is told apart from a wrong answer."""
        if not line.endswith(b"\r\n"):
            raise ConnectionError
        return line[:-2]

    def take(self, wire, size):
        data = wire.take(size + 2)
        if len(data) < size + 2:
            raise ConnectionError
        return self.whole(data)

    def request(self):
        raise NotImplementedError


class TextSoaker(RawSoaker):
    def request(self):
        key, what = self.own_key(), self.chance.random()
        if what < 0.35:
            value, quiet = self.next_value(key), self.chance.random() < 0.2
            data = b"set %s 64 %d %d%s\r\n%s\r\n" % (key, self.chance.choice((0, 60)), len(value),
                                                  b" noreply" * quiet, value)
            return data, (lambda wire: None) if quiet else self.line_of(b"STORED")
        if what < 0.42:
            return b"delete %s\r\n" % key, self.line_of(b"DELETED", b"NOT_FOUND")
        if what < 0.46:
            return b"touch %s 90\r\n" % key, self.line_of(b"TOUCHED", b"NOT_FOUND")
        keys = [self.any_key() for _ in range(self.chance.choice((1, 1, 2, 10)))]
        return b"get %s\r\n" % b" ".join(keys), lambda wire: self.read_get(wire, keys)

    def line_of(self, *good):
        return lambda wire: self.check_line(self.whole(wire.line()), *good)

    def read_get(self, wire, keys):
        left, first = list(keys), True
        while True:
            line = self.whole(wire.line())
            if line == b"END":
                self.answers += 1
                return
            if first and ALLOWED.match(line):  # on_failure = "error": alone, and no END.
                self.failures += 1
                return
            first = False
            words = line.split(b" ")
            assert len(words) == 4 and words[0] == b"VALUE" and words[2] in FLAGS, f"get answered {line[:100]!r}"
            assert words[1] in left, f"{words[1]!r} was not asked for, or is out of order"
            del left[:left.index(words[1]) + 1]
            self.check(words[1], self.take(wire, int(words[3])))


class MetaSoaker(RawSoaker):
    opaque = 0

    def request(self):
        key, what = self.own_key(), self.chance.random()
        self.opaque += 1
        tag = b"O%d" % self.opaque
        if what < 0.35:
            value = self.next_value(key)
            return (b"ms %s %d %s F64 T%d\r\n%s\r\n" % (key, len(value), tag, self.chance.choice((0, 60)), value),
                    lambda wire: self.check_line(self.whole(wire.line()), b"HD " + tag))
        if what < 0.42:
            return (b"md %s %s\r\n" % (key, tag),
                    lambda wire: self.check_line(self.whole(wire.line()), b"HD " + tag, b"NF " + tag))
        if what < 0.6:
            key = self.any_key()
            return b"mg %s v\r\n" % key, lambda wire: self.read_one(wire, key, b"")
        keys = [self.any_key() for _ in range(self.chance.choice((1, 4)))]
        data = b"".join(b"mg %s k f v O%d q\r\n" % (k, i) for i, k in enumerate(keys)) + b"mn\r\n"
        return data, lambda wire: self.read_run(wire, keys)

    def read_one(self, wire, key, flags):
        line = self.whole(wire.line())
        words = line.split(b" ")
        if words[0] == b"VA":
            assert b" ".join(words[2:]) == flags, f"mg answered {line[:100]!r}"
            self.check(key, self.take(wire, int(words[1])))
        else:
            self.check_line(line, b"EN")

    def read_run(self, wire, keys):
        last = -1
        while (line := self.whole(wire.line())) != b"MN":
            words = line.split(b" ")
            if words[0] != b"VA":
                self.check_line(line)
                continue
            number = int(words[4][1:])
            assert number > last, f"out of order: {line[:100]!r}"
            last = number
            assert words[2] == b"k" + keys[number] and words[3][1:] in FLAGS, f"quiet mg answered {line[:100]!r}"
            self.check(keys[number], self.take(wire, int(words[1])))
        self.answers += 1


class PymemcacheSoaker(Soaker):
    def session(self):
        from pymemcache.client.base import Client
        from pymemcache.exceptions import MemcacheServerError, MemcacheUnexpectedCloseError
        client = Client(("127.0.0.1", self.port), default_noreply=False, no_delay=True, timeout=TIMEOUT)
        try:
            while not self.ending:
                self.pause()
                try:
                    self.once(client)
                except (MemcacheUnexpectedCloseError, ConnectionError) as error:
                    raise ConnectionError from error
                except MemcacheServerError as error:
                    self.check_line(b"SERVER_ERROR " + bytes(error.args[0]))
        finally:
            client.close()

    def once(self, client):
        key, what = self.own_key(), self.chance.random()
        if what < 0.35:
            assert client.set(key, self.next_value(key), expire=60) is True, "not stored"
            self.answers += 1
        elif what < 0.45:
            client.delete(key)
            self.answers += 1
        else:
            asked = {self.any_key() for _ in range(self.chance.choice((1, 5)))}
            for found, value in client.get_many(asked).items():
                assert found in asked, f"{found!r} was not asked for"
                self.check(found, value)


class PylibmcSoaker(Soaker):
    def session(self):
        import pylibmc
        client = pylibmc.Client([f"127.0.0.1:{self.port}"], behaviors={
            "tcp_nodelay": True, "connect_timeout": 2000, "receive_timeout": int(TIMEOUT * 1e6),
            "retry_timeout": 1, "remove_failed": 0})
        try:
            while not self.ending:
                self.pause()
                try:
                    self.once(client)
                except pylibmc.ServerError:  # It keeps no text.
                    self.answers += 1
                    self.failures += 1
                except pylibmc.Error as error:
                    if not ENDED.match(str(error)):
                        raise
                    raise ConnectionError from error
        finally:
            client.disconnect_all()

    def once(self, client):
        key, what = self.own_key().decode(), self.chance.random()
        if what < 0.35:
            assert client.set(key, self.next_value(key.encode()), time=60), "not stored"
            self.answers += 1
        elif what < 0.45:
            client.delete(key)
            self.answers += 1
        else:
            asked = {self.any_key().decode() for _ in range(self.chance.choice((1, 5)))}
            for found, value in client.get_multi(asked).items():
                assert found in asked, f"{found!r} was not asked for"
                self.check(found.encode(), value)
