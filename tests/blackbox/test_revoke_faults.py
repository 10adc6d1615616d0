"""Revoked stays revoked while nodes restart, stand still and evict. TOKENRING_FAULTS, 10, makes it longer."""
import os
import random
import re
import threading
import time
import unittest

from harness import FAILED_READ, SERVER_ERROR, SLOW, TIMEOUT, Wire, eventually
from sealed import SPACE, SealedCase, envelope

FAULTS = int(os.environ.get("TOKENRING_FAULTS", "10"))
USERS = range(8)
RULES = 'seal = "require"\nblind_keys = true\nrevocable = true\n'
POOL = f'request_timeout = "{int(200 * SLOW)}ms"\n'
HIT = re.compile(rb"VA 8\r\n(\d{8})\r\n")


def key_of(user):
    return SPACE + b"{user%d}:session" % user


class Chaos:
    """Does something to one node after another, and then lets all be well."""

    def __init__(self, nodes):
        self.nodes, self.dice = nodes, random.Random(7)
        self.done = {"restart": 0, "freeze": 0, "evict": 0}

    def restart(self, node):
        node.restart()

    def freeze(self, node):
        node.freeze()
        time.sleep(self.dice.choice((0.05, 0.3, 0.6)) * SLOW)  # Shorter and longer than a request may take.
        node.thaw()

    def evict(self, node):
        """Items of all sizes that markers and sealed values may have, until the node has dropped some."""
        with Wire(node.port) as wire:
            before, number = self.evictions(wire), 0
            end = time.monotonic() + 2 * TIMEOUT
            while self.evictions(wire) == before and time.monotonic() < end:
                for _ in range(500):
                    number += 1
                    size = self.dice.randrange(20, 400)
                    wire.send(b"set filler%d.%d 0 0 %d noreply\r\n%s\r\n" % (self.dice.randrange(1 << 30), number, size, b"x" * size))

    @staticmethod
    def evictions(wire):
        wire.send(b"stats\r\n")
        return int(re.search(rb"STAT evictions (\d+)", wire.until(b"END\r\n"))[1])

    def run(self, faults):
        for n in range(faults):
            what = list(self.done)[n % len(self.done)]
            getattr(self, what)(self.dice.choice(self.nodes))
            self.done[what] += 1


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Faults(SealedCase):
    def setUp(self):
        super().setUp()
        self.nodes = [self.memcached("-m", "2") for _ in range(3)]
        self.proxies = [self.sealed(self.nodes, rules=RULES, pool=POOL) for _ in range(2)]
        self.stop, self.lock, self.wrong = threading.Event(), threading.Lock(), []
        self.number = dict.fromkeys(USERS, 1)  # What whoever fetches at this time gets,
        self.floor = dict.fromkeys(USERS, 0)   # and the lowest that may still be read.
        self.counts = dict.fromkeys(("revoked", "refused", "hits", "misses", "fills"), 0)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def revoker(self, user):
        """Changes what is fetched, and then revokes what was."""
        wires = [self.wire(proxy) for proxy in self.proxies]
        while not self.stop.is_set():
            with self.lock:
                self.number[user] += 1
                number = self.number[user]
            reply = wires[number % 2].command(b"delete %s{user%d}\r\n" % (SPACE, user))
            if reply == b"DELETED\r\n":
                with self.lock:
                    self.floor[user] = number
                self.count("revoked")
                reply = wires[number // 2 % 2].command(b"set %s 0 0 8\r\n%08d\r\n" % (key_of(user), number))
                if reply != b"STORED\r\n" and not SERVER_ERROR.fullmatch(reply):
                    self.wrong.append((user, "set", reply))
            elif SERVER_ERROR.fullmatch(reply):
                self.count("refused")
            else:
                self.wrong.append((user, "delete", reply))

    def reader(self, which):
        """Reads, and sets what it fetched where it found nothing."""
        wire = self.wire(self.proxies[which % 2])
        while not self.stop.is_set():
            for user in USERS:
                with self.lock:
                    least = self.floor[user]
                reply = wire.command(b"mg %s v\r\n" % key_of(user))
                hit = HIT.fullmatch(reply)
                if hit:
                    self.count("hits")
                    if int(hit[1]) < least:
                        self.wrong.append((user, least, reply))
                    continue
                if not FAILED_READ.fullmatch(reply):
                    self.wrong.append((user, "get", reply))
                self.count("misses")
                with self.lock:
                    fetched = self.number[user]
                if wire.command(b"set %s 0 0 8\r\n%08d\r\n" % (key_of(user), fetched)) == b"STORED\r\n":
                    self.count("fills")

    def test_no_read_after_the_answer_sees_what_was_revoked(self):
        threads = [threading.Thread(target=self.guarded, args=(self.revoker, user)) for user in USERS]
        threads += [threading.Thread(target=self.guarded, args=(self.reader, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        chaos = Chaos(self.nodes)
        try:
            chaos.run(FAULTS)
            # All is well again, and everybody is served: what was in doubt is settled.
            before = dict(self.counts)
            eventually(lambda: all(self.counts[what] > before[what] + 20 for what in ("revoked", "hits", "fills")), 4 * TIMEOUT)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.wrong, [])
        self.assertGreater(min(chaos.done.values()), 1)
        self.assertGreater(self.counts["refused"], 0)  # What stood still acknowledged nothing.
        self.assertGreater(min(self.floor.values()), 1)

    def guarded(self, work, argument):
        try:
            work(argument)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.wrong.append((work.__name__, argument, repr(error)))
            self.stop.set()


if __name__ == "__main__":
    unittest.main()
