"""The near cache: what this proxy was told is written or revoked is seen at once, other proxies' after ttl."""
import itertools
import threading
import time
import unittest

from harness import SLOW, TIMEOUT, Case, Wire, eventually
from sealed import SPACE, SealedCase, envelope, memory_of, nodes_line

WORKERS = ("--workers", "2")
CONNECTIONS = 12  # The kernel spreads them over the workers.
TTL = 1.0
NEAR = 'near = { bytes = "8MiB", ttl = "1s" }\n'


def config(nodes, rules=NEAR):
    return f'[pools.p]\nnodes = [{nodes_line(nodes)}]\n[[namespaces]]\nprefix = ""\n{rules}'


class Near(Case):
    def start(self, rules=NEAR, nodes=2, proxies=1):
        self.nodes = [self.memcached() for _ in range(nodes)]
        made = [self.proxy((), *WORKERS, config=config(self.nodes, rules)) for _ in range(proxies)]
        return made[0] if proxies == 1 else made

    def tallies(self, proxy, name=b"-"):
        with Wire(proxy.port) as wire:
            wire.send(b"stats namespaces\r\n")
            lines = wire.until(b"END\r\n").split(b"\r\n")
        start = b"STAT %s:" % name
        return {word[len(start):].decode(): int(number) for word, number in
                (line.rsplit(b" ", 1) for line in lines if line.startswith(start))}

    def asked(self):
        """Gets that the nodes saw."""
        total = 0
        for node in self.nodes:
            with Wire(node.port) as wire:
                wire.send(b"stats\r\n")
                total += int(dict(line.split(b" ", 2)[1:] for line in wire.until(b"END\r\n").split(b"\r\n")
                                  if line.startswith(b"STAT"))[b"cmd_get"])
        return total

    def test_hits_do_not_reach_the_node_and_are_told(self):
        proxy = self.start('near = { bytes = "8MiB", ttl = "1m" }\n')
        wire = self.wire(proxy)
        wire.set(b"k", b"value", flags=5)
        for _ in range(100):
            self.assertEqual(wire.command(b"get k\r\n"), b"VALUE k 5 5\r\nvalue\r\nEND\r\n")
            self.assertEqual(wire.command(b"mg k v f s k q Oab\r\n"), b"VA 5 f5 s5 kk Oab\r\nvalue\r\n")
        self.assertLessEqual(self.asked(), 1)
        told = self.tallies(proxy)
        self.assertEqual((told["near_hits"], told["near_misses"], told["near_hit_percent"]), (199, 1, 99))
        self.assertEqual((told["get_hits"], told["near_staleness_ms"]), (200, 60000))
        eventually(lambda: self.tallies(proxy)["near_bytes"] > 0, what="its size is told")

    def test_nobody_reads_less_than_what_somebody_was_told_is_stored(self):
        proxy = self.start('near = { bytes = "8MiB", ttl = "1m" }\n')
        keys = [b"k%d" % n for n in range(3)]
        for key in keys:
            self.wire(proxy).set(key, b"0")
        told, lock, stop = dict.fromkeys(keys, 0), threading.Lock(), threading.Event()
        wrong, reads = [], itertools.count()

        def write(key):
            wire = Wire(proxy.port)
            for value in itertools.count(1):
                if stop.is_set():
                    return wire.close()
                text = b"%d" % value
                wire.send(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(text), text))
                if wire.line() != b"STORED\r\n":
                    wrong.append(("not stored", key, value))
                with lock:
                    told[key] = value
                time.sleep(0.001 * (value % 7))

        def read(number):
            wire = Wire(proxy.port)
            while not stop.is_set():
                with lock:
                    known = dict(told)
                lines = wire.command(b"get " + b" ".join(keys) + b"\r\n").split(b"\r\n")
                values = dict(zip((line.split(b" ")[1] for line in lines[0:-2:2]), lines[1:-2:2]))
                for key in keys:
                    if int(values.get(key, b"-1")) < known[key]:
                        wrong.append((number, key, known[key], values.get(key)))
                next(reads)
            wire.close()

        threads = [threading.Thread(target=write, args=(key,)) for key in keys]
        threads += [threading.Thread(target=read, args=(n,)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        time.sleep(4)
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(wrong[:3], [])
        self.assertGreater(next(reads), 100)
        counted = self.tallies(proxy)
        self.assertGreater(counted["near_hits"], 100)
        self.assertGreater(counted["near_misses"], 100)

    def test_every_connection_sees_each_kind_of_write(self):
        proxy = self.start('near = { bytes = "8MiB", ttl = "1m" }\n')
        wires = [self.wire(proxy) for _ in range(CONNECTIONS)]
        steps = [(b"set k 0 0 1\r\n1\r\n", b"1"), (b"incr k 4\r\n", b"5"), (b"append k 0 0 1\r\n0\r\n", b"50"),
                 (b"prepend k 0 0 1\r\n9\r\n", b"950"), (b"replace k 0 0 1\r\n7\r\n", b"7"), (b"ma k MD D2\r\n", b"5"),
                 (b"ms k 1\r\n3\r\n", b"3"), (b"md k\r\n", None), (b"add k 0 0 1\r\n4\r\n", b"4"), (b"touch k -1\r\n", None),
                 (b"set k 0 0 1\r\n6\r\n", b"6"), (b"delete k noreply\r\n", None), (b"set k 0 0 1 noreply\r\n8\r\n", b"8"),
                 (b"flush_all\r\n", None)]
        for turn, (write, expected) in enumerate(steps * 3):
            wires[turn % CONNECTIONS].command(write)
            for _ in range(2):
                for wire in wires:
                    self.assertEqual(wire.get(b"k"), expected, write)
        self.assertGreater(self.tallies(proxy)["near_hits"], len(steps))

    def test_another_proxys_write_is_seen_within_ttl(self):
        a, b = self.start(proxies=2)
        wire, other = self.wire(a), self.wire(b)
        wire.set(b"k", b"old")
        self.assertEqual([wire.get(b"k"), other.get(b"k")], [b"old", b"old"])
        other.set(b"k", b"new")
        written = time.monotonic()
        self.assertEqual(other.get(b"k"), b"new")
        while (seen := wire.get(b"k")) != b"new":
            self.assertEqual(seen, b"old")
            self.assertLess(time.monotonic() - written, TTL + 2 * SLOW)
            time.sleep(0.02)
        self.assertEqual(wire.get(b"k"), b"new")

    def test_a_process_that_was_stopped_gives_out_nothing_of_before(self):
        a, b = self.start(proxies=2)
        wire, other = self.wire(a), self.wire(b)
        wire.set(b"k", b"old")
        self.assertEqual(wire.get(b"k"), b"old")
        a.freeze()
        other.set(b"k", b"new")
        time.sleep(TTL + 0.2)
        a.thaw()
        self.assertEqual(wire.get(b"k"), b"new")

    def test_a_reload_turns_it_on_and_off(self):
        proxy = self.start("")
        wires = [self.wire(proxy) for _ in range(CONNECTIONS)]
        wires[0].set(b"k", b"0")
        for turn in range(1, 9):
            proxy.configure(config(self.nodes, NEAR if turn % 2 else ""))
            self.assertEqual(proxy.ask("reload")[0], 0)
            self.assertEqual("near_staleness_ms" in self.tallies(proxy), bool(turn % 2))
            for n, wire in enumerate(wires):
                wire.set(b"k", b"%d.%d" % (turn, n))
                for reader in wires:
                    self.assertEqual(reader.get(b"k"), b"%d.%d" % (turn, n))
        self.assertGreater(self.tallies(proxy)["near_hits"], 0)


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class NearTokens(SealedCase):
    RULES = 'seal = "require"\nblind_keys = true\n'

    def start(self, rules, proxies=1):
        self.nodes = [self.memcached() for _ in range(2)]
        return [self.sealed(self.nodes, *WORKERS, rules=self.RULES + rules) for _ in range(proxies)]

    def test_what_was_revoked_here_is_read_here_by_nobody(self):
        proxy, = self.start("revocable = true\n" + NEAR)
        wires = [self.wire(proxy) for _ in range(CONNECTIONS)]
        group = SPACE + b"{u42}"
        keys = [group + b":%d" % n for n in range(3)]
        for turn in range(20):
            for key in keys:
                wires[turn % CONNECTIONS].set(key, b"v%d" % turn)
            for wire in wires * 2:
                for key in keys:
                    self.assertEqual(wire.get(key), b"v%d" % turn)
            self.assertEqual(wires[-turn % CONNECTIONS].command(b"delete %s\r\n" % group), b"DELETED\r\n")
            for wire in wires:
                for key in keys:
                    self.assertIsNone(wire.get(key))
        self.assertGreater(self.tallies(wires[0])["near_hits"], 200)

    def test_what_was_revoked_at_another_proxy_is_gone_after_a_second(self):
        a, b = self.start("revocable = true\n" + NEAR, proxies=2)
        wire, other = self.wire(a), self.wire(b)
        wire.set(SPACE + b"{u}:1", b"v")
        self.assertEqual(wire.get(SPACE + b"{u}:1"), b"v")
        self.assertEqual(other.command(b"delete %s{u}\r\n" % SPACE), b"DELETED\r\n")
        revoked = time.monotonic()
        while wire.get(SPACE + b"{u}:1") is not None:
            self.assertLess(time.monotonic() - revoked, TTL + 2 * SLOW)
            time.sleep(0.02)
        self.assertIsNone(wire.get(SPACE + b"{u}:1"))

    def test_opened_once_and_wiped_soon_after_it_is_over(self):
        proxy, = self.start(NEAR)
        wire = self.wire(proxy)
        secret = b"near-secret-" + b"0123456789abcdef" * 20
        wire.set(SPACE + b"k", secret)
        for _ in range(20):
            self.assertEqual(wire.get(SPACE + b"k"), secret)
        self.assertLess(self.tallies(wire)["opened"], 6)
        wire.close()
        self.require_readable(proxy)
        # VALUE and the client's key stand in front of it where it is kept, and nowhere else.
        kept = b"VALUE " + SPACE + b"k 0 332\r\nnear-secret-"
        self.assertTrue(any(kept in piece for piece in memory_of(proxy.pid)))
        eventually(lambda: not any(kept in piece for piece in memory_of(proxy.pid)), 3 + TIMEOUT, "wiped")
