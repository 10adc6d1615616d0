"""Nodes that die, freeze, come back or lie, while clients go on: no wrong byte, no hang, no crash."""
import random
import threading
import time
import unittest

import lying
from harness import FAILED_READ, SERVER_ERROR, SLOW, TIMEOUT, Case, eventually, slow

BOUND = 2.5 * SLOW  # seconds in which even a request to a lost node is answered


def value_of(key, number):
    """Embeds its key and fills with bytes that depend on both: any mix-up shows."""
    filler = random.Random(key + b"%d" % number).randbytes(number * 37 % 3000).replace(b"M", b"m")
    return b"%s=%d=" % (key, number) + filler


class Traffic:
    """Clients that set and get keys of their own until the end and note every wrong or late answer."""

    def __init__(self, case, proxy, clients=4):
        self.wrong, self.late, self.answers, self.failures, self.ending = [], [], 0, 0, False
        self.wires = [case.wire(proxy) for _ in range(clients)]
        self.threads = [threading.Thread(target=self._run, args=(n, w), daemon=True) for n, w in enumerate(self.wires)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        for thread in self.threads:
            thread.join(4 * TIMEOUT)

    def _run(self, client, wire):
        chance, number = random.Random(client), 0
        possible = {}  # key: values it may hold, the last acknowledged and all unsure since
        try:
            while not self.ending:
                number += 1
                key = b"t%d:%d" % (client, chance.randrange(40))
                start = time.monotonic()
                if chance.random() < 0.4:
                    value = value_of(key, number)
                    reply = wire.command(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
                    possible[key] = [value] + (possible.get(key, []) if reply != b"STORED\r\n" else [])
                    good = reply == b"STORED\r\n"
                else:
                    reply = wire.command(b"get %s\r\n" % key)
                    hits = (b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(v), v) for v in possible.get(key, []))
                    good = reply == b"END\r\n" or reply in hits
                self.answers += 1
                self.failures += not good
                if not good and not SERVER_ERROR.fullmatch(reply):
                    self.wrong.append((key, reply[:200]))
                if time.monotonic() - start > BOUND:
                    self.late.append((key, time.monotonic() - start))
        except (AssertionError, OSError) as error:
            self.wrong.append(str(error))


class Faults(Case):
    def answered(self, wire, data, pattern):
        """`data` is answered by `pattern`, in time even if its node is lost."""
        start = time.monotonic()
        reply = self.ask(wire, data, pattern)
        self.assertLess(time.monotonic() - start, BOUND, data[:80])
        return reply

    def recovers(self, wire, key, value):
        def back():
            reply = wire.command(b"mg %s v\r\n" % key)
            if FAILED_READ.fullmatch(reply):
                return False
            self.assertEqual(reply, b"VA %d\r\n%s\r\n" % (len(value), value))
            return True
        eventually(back, 8 * SLOW, f"{key!r} is served again")

    def accepts_writes(self, wire, key):
        def back():
            reply = wire.command(b"set %s 0 0 3\r\nnew\r\n" % key)
            if reply != b"STORED\r\n":
                self.assertRegex(reply, SERVER_ERROR)
            return reply == b"STORED\r\n"
        eventually(back, 8 * SLOW, f"{key!r} is stored again")


class LostNodes(Faults):
    def setUp(self):
        self.nodes, self.server = self.fleet(3)
        (self.lost,), (self.kept,), (self.other,) = self.keys_on(self.server, self.nodes, each=1)
        self.client = self.wire(self.server)

    def check_lost_and_kept(self):
        lost, kept = self.lost, self.kept
        self.answered(self.client, b"get %s\r\n" % lost, FAILED_READ)
        self.answered(self.client, b"mg %s v\r\n" % lost, FAILED_READ)
        for write in (b"set %s 0 0 1\r\nx\r\n", b"delete %s\r\n", b"incr %s 1\r\n", b"touch %s 9\r\n", b"md %s q\r\n",
                      b"ms %s 1\r\nx\r\n", b"append %s 0 0 1\r\nx\r\n", b"cas %s 0 0 1 5\r\nx\r\n", b"ma %s\r\n"):
            self.answered(self.client, write % lost, SERVER_ERROR)
        start = time.monotonic()
        self.assertEqual(self.wire(self.server).get(kept), kept)
        self.assertLess(time.monotonic() - start, 0.9 * SLOW, "another node's key waited")

    def test_killed_node(self):
        self.nodes[0].kill()
        self.check_lost_and_kept()
        self.nodes[0].start()
        self.accepts_writes(self.client, self.lost)
        self.assertEqual(self.client.get(self.lost), b"new")

    def test_frozen_node(self):
        self.nodes[0].freeze()
        self.answered(self.client, b"get %s\r\n" % self.lost, FAILED_READ)
        self.answered(self.client, b"delete %s\r\n" % self.lost, SERVER_ERROR)
        self.assertEqual(self.wire(self.server).get(self.kept), self.kept)
        self.nodes[0].thaw()
        self.accepts_writes(self.client, self.lost)
        self.assertEqual(self.client.get(self.lost), b"new")

    def test_proxy_that_was_stopped_blames_no_node(self):
        self.nodes[0].freeze()
        self.client.send(b"get %s\r\n" % self.lost)
        time.sleep(0.2)  # It is on its way to the node.
        self.server.freeze()
        self.nodes[0].thaw()
        time.sleep(1.3)  # More than request_timeout; the answer is there long before.
        self.server.thaw()
        hit = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (self.lost, len(self.lost), self.lost)
        self.assertEqual(self.client.until(b"END\r\n"), hit)

    def test_restarted_node_is_empty_not_wrong(self):
        self.nodes[0].restart()
        eventually(lambda: self.client.command(b"set %s 0 0 1\r\n1\r\n" % self.lost) == b"STORED\r\n", 8 * SLOW)
        self.assertEqual(self.client.get(self.lost), b"1")
        self.assertEqual(self.client.get(self.kept), self.kept)

    def test_flush_all_is_not_acknowledged_while_a_node_is_lost(self):
        self.nodes[0].kill()
        self.answered(self.client, b"flush_all\r\n", SERVER_ERROR)
        self.answered(self.client, b"flush_all noreply\r\n", b"")

    def test_all_nodes_lost(self):
        for node in self.nodes:
            node.kill()
        for key in (self.lost, self.kept, self.other):
            self.answered(self.client, b"get %s\r\n" % key, FAILED_READ)
            self.answered(self.client, b"set %s 0 0 1\r\n1\r\n" % key, SERVER_ERROR)
        for node in self.nodes:
            node.start()
        self.accepts_writes(self.client, self.other)

    def test_node_that_is_down_at_the_start(self):
        self.nodes[0].kill()
        server = self.proxy(self.nodes)
        client = self.wire(server)
        self.assertEqual(client.get(self.kept), self.kept)
        self.answered(client, b"get %s\r\n" % self.lost, FAILED_READ)
        self.nodes[0].start()
        self.accepts_writes(client, self.lost)

    @slow
    def test_traffic_through_kills_and_freezes(self):
        with Traffic(self, self.server) as traffic:
            for fault, mend in (("kill", "start"), ("freeze", "thaw"), ("restart", "alive")):
                for node in self.nodes[:2]:
                    time.sleep(0.2)
                    getattr(node, fault)()
                    time.sleep(0.6)
                    getattr(node, mend)()
            time.sleep(0.5)
        self.assertEqual((traffic.wrong, traffic.late), ([], []))
        self.assertGreater(traffic.answers, 200)
        self.accepts_writes(self.client, self.lost)


class LyingNodes(Faults):
    """A reply that does not belong to its request closes the link and never reaches a client."""

    def setUp(self):
        self.liar = lying.LyingNode(self.memcached())
        self.addCleanup(self.liar.stop)
        honest = self.memcached()
        self.server = self.proxy([self.liar, honest])
        (self.keys, (self.kept, *_)) = self.keys_on(self.server, [self.liar.real, honest], each=4)
        self.client, self.neighbour = self.wire(self.server), self.wire(self.server)

    def check(self, lie):
        key, *others = self.keys
        for dialect in (b"get %s\r\n", b"mg %s v\r\n"):
            self.liar.lie_about(key, lie)
            self.answered(self.client, dialect % key, FAILED_READ)
            self.assertEqual(self.neighbour.get(self.kept), self.kept)
            for other in others:
                self.recovers(self.neighbour, other, other)
            self.recovers(self.client, key, key)

    def check_write(self, lie):
        key, *others = self.keys
        self.liar.lie_about(key, lie)
        self.answered(self.client, b"set %s 0 0 3\r\nnew\r\n" % key, SERVER_ERROR)
        for other in others:
            self.recovers(self.neighbour, other, other)
        self.recovers(self.client, key, b"new")

    def test_extra_replies_do_not_slip(self):
        for lie in (lying.reply_twice, lying.unasked_reply):
            with self.subTest(lie.__name__):
                key, *others = self.keys
                self.liar.lie_about(key, lie)
                self.recovers(self.client, key, key)
                for other in others + [key]:
                    self.recovers(self.client, other, other)

    def test_late_answer_is_never_the_next_ones(self):
        first, second, *_ = self.keys
        self.liar.lie_about(first, lying.late(1.8))
        self.answered(self.client, b"get %s\r\n" % first, FAILED_READ)
        for _ in range(10):
            reply = self.client.command(b"mg %s v\r\n" % second)
            if not FAILED_READ.fullmatch(reply):
                self.assertEqual(reply, b"VA %d\r\n%s\r\n" % (len(second), second))
            time.sleep(0.1)
        self.recovers(self.client, first, first)

    def test_pipelined_neighbours_of_a_lie(self):
        """Requests in flight on the link that is closed fail; none gets another's answer."""
        self.liar.lie_about(self.keys[0], lying.wrong_opaque)
        self.client.send(b"".join(b"get %s\r\n" % k for k in self.keys + [self.kept]) + b"mn\r\n")
        for key in self.keys + [self.kept]:
            line = self.client.line()
            if line.startswith(b"VALUE"):
                self.assertEqual(line.split()[1], key)
                self.assertEqual(self.client.line() + self.client.line(), key + b"\r\nEND\r\n")
                self.assertNotEqual(key, self.keys[0])
            else:
                self.assertRegex(line, FAILED_READ)
                self.assertNotEqual(key, self.kept)
        self.assertEqual(self.client.line(), b"MN\r\n")

    def test_traffic_through_lies(self):
        chance = random.Random(5)
        lies = [getattr(lying, name) for name in LIES if name != "no_reply"]
        with Traffic(self, self.server) as traffic:
            end = time.monotonic() + (1 if SLOW == 1 else 3)
            while time.monotonic() < end:
                self.liar.lie_about(b"t%d:%d" % (chance.randrange(4), chance.randrange(40)), chance.choice(lies))
                time.sleep(0.01)
        self.assertEqual((traffic.wrong, traffic.late), ([], []))


LIES = ("wrong_opaque", "half_reply", "garbage", "endless_line", "no_reply", "hang_up", "huge_length", "longer_length",
        "shorter_length", "other_dialect")
for _name in LIES:
    setattr(LyingNodes, f"test_read_{_name}", lambda self, lie=getattr(lying, _name): self.check(lie))
for _name in ("wrong_opaque", "half_reply", "garbage", "no_reply", "hang_up", "other_dialect"):
    setattr(LyingNodes, f"test_write_{_name}", lambda self, lie=getattr(lying, _name): self.check_write(lie))


if __name__ == "__main__":
    unittest.main()
