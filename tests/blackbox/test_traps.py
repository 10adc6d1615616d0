"""Fifteen cases that memcached proxies get wrong, one test each, and hostile clients."""
import random
import re
import socket
import threading
import time
import unittest

import lying
from harness import FAILED_READ, SERVER_ERROR, SLOW, Case, eventually

TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
CAPPED = """
[pools.tokens]
nodes = ["{address}"]

[[namespaces]]
prefix = ""
pool = "tokens"

[[namespaces]]
prefix = "capped:"
pool = "tokens"
ttl_cap = "60s"
"""


class Traps(Case):
    def two(self):
        """(nodes, keys of each node, client) over two nodes that are waited for"""
        nodes = [self.memcached() for _ in range(2)]
        listed = ", ".join(f'"{node.address}"' for node in nodes)
        self.server = self.proxy(config=f'[pools.main]\nnodes = [{listed}]\nrequest_timeout = "30s"\n')
        keys = self.keys_on(self.server, nodes)
        return nodes, keys, self.wire(self.server)

    def liar(self):
        node = lying.LyingNode(self.memcached())
        self.addCleanup(node.stop)
        return node

    def test_01_replies_come_in_request_order(self):
        nodes, ((slow, *_), (fast, *_)), client = self.two()
        nodes[0].freeze()
        threading.Timer(0.5, nodes[0].thaw).start()
        self.ask(client, b"get %s\r\nget %s\r\n" % (slow, fast),
                 b"".join(b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (k, len(k), k) for k in (slow, fast)))

    def test_02_multi_get_has_one_terminator(self):
        nodes, ((lost, lost2), (kept, kept2)), client = self.two()
        long = b"x" * 251
        self.ask(client, b"get %s %s %s\r\n" % (kept, long, lost), b"CLIENT_ERROR bad command line format\r\n")
        nodes[0].kill()
        hits = b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (k, len(k), k) for k in (kept, kept2))
        for _ in range(3):
            reply = client.command(b"get %s %s %s %s\r\n" % (lost, kept, kept2, lost2))
            self.assertTrue(reply == hits + b"END\r\n" or SERVER_ERROR.fullmatch(reply), reply)

    def test_03_noreply_is_silent_when_its_node_fails(self):
        nodes, ((lost, _), (kept, _)), client = self.two()
        nodes[0].kill()
        self.ask(client, b"set %s 0 0 1 noreply\r\nx\r\nincr %s 1 noreply\r\ndelete %s noreply\r\n"
                 b"touch %s 5 noreply\r\nget %s\r\n" % (lost, lost, lost, lost, kept),
                 b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (kept, len(kept), kept))

    def test_04_noreply_and_quiet_are_never_forwarded(self):
        node = self.liar()
        client = self.wire(self.proxy([node]))
        self.ask(client, b"set k 0 0 1 noreply\r\n1\r\nincr k 1 noreply\r\ndelete k noreply\r\ndelete k 0 noreply\r\n"
                 b"touch k 1 noreply\r\nmd k q\r\nmg k q v\r\nms k 1 q\r\nx\r\nma k q\r\n",
                 b"NF\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
        for line in node.request_lines:
            words = line.split()
            self.assertNotIn(b"noreply", words)
            self.assertNotIn(b"q", words[2:])
        self.assertGreaterEqual(len(node.request_lines), 9)

    def test_05_a_client_error_of_a_node_is_an_answer(self):
        client = self.wire(self.fleet(1)[1])
        client.set(b"a", b"1")
        self.ask(client, b"set s 0 0 1\r\nx\r\nincr s 1\r\nget a\r\n",
                 b"STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
                 b"VALUE a 0 1\r\n1\r\nEND\r\n")

    def test_06_noop_is_answered_strictly_last(self):
        nodes, ((a, _), (b, _)), client = self.two()
        nodes[0].freeze()
        threading.Timer(0.6, nodes[0].thaw).start()
        client.send(b"mg %s q v\r\nmg %s q v\r\nmg none q v\r\nmn\r\n" % (a, b))
        expected = b"VA %d\r\n%s\r\nVA %d\r\n%s\r\nMN\r\n" % (len(a), a, len(b), b)
        self.assertEqual(client.take(len(expected)), expected)

    def test_07_a_value_cut_short_never_reaches_the_client(self):
        node, honest = self.liar(), self.memcached()
        server = self.proxy([node, honest])
        client = self.wire(server)
        ((key, *_), (kept, *_)) = self.keys_on(server, [node.real, honest])
        client.set(key, b"z" * 200_000)
        node.lie_about(key, lying.half_reply)
        reply = client.command(b"get %s\r\nget %s\r\n" % (key, kept))
        intact = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (kept, len(kept), kept)
        self.assertTrue(reply.endswith(intact), reply[-200:])
        self.assertRegex(reply.removesuffix(intact), FAILED_READ)
        self.assertNotIn(b"zz", reply)

    def test_08_another_keys_value_is_caught(self):
        node = self.liar()
        client = self.wire(self.proxy([node]))
        for key in (b"a", b"b", b"c"):
            client.set(key, b"value of " + key)
        node.lie_about(b"a", lying.no_reply)  # What comes next is the reply to b.
        reply = client.command(b"get a\r\nget b\r\n")
        self.assertRegex(reply, b"^(%s){2}$" % FAILED_READ.pattern)
        self.assertNotIn(b"value of", reply)
        eventually(lambda: client.command(b"get c\r\n").endswith(b"value of c\r\nEND\r\n"), 8 * SLOW)

    def test_09_a_body_of_the_wrong_length_resynchronises(self):
        client = self.wire(self.fleet(1)[1])
        self.ask(client, b"set a 0 0 3\r\nabcd\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n")
        self.ask(client, b"set a 0 0 3\r\nabc\r\nget a\r\n", b"STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n")

    def test_10_flush_all_reaches_every_node_and_answers_once(self):
        nodes, keys, client = self.two()
        self.ask(client, b"flush_all\r\n", b"OK\r\n")
        for node, (key, _) in zip(nodes, keys):
            self.assertIsNone(self.wire(node).get(key))
        self.ask(client, b"flush_all abc\r\n", b"CLIENT_ERROR invalid exptime argument\r\n")
        client.set(b"a", b"1")
        self.ask(client, b"flush_all noreply\r\nget a\r\n", b"END\r\n")

    def test_11_a_late_reply_is_never_given_to_the_next_request(self):
        node = self.liar()
        client = self.wire(self.proxy([node]))
        client.set(b"first", b"1st")
        client.set(b"second", b"2nd")
        node.lie_about(b"first", lying.late(1.6))
        self.ask(client, b"get first\r\n", FAILED_READ)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            reply = client.command(b"get second\r\n")
            self.assertTrue(reply == b"VALUE second 0 3\r\n2nd\r\nEND\r\n" or FAILED_READ.fullmatch(reply), reply)
            time.sleep(0.05)

    def test_12_an_early_error_reaches_the_client_whole(self):
        client = self.wire(self.proxy([self.memcached("-I", "512k")]))
        for size in (700_000, 4 << 20):
            self.ask(client, b"set big 0 0 %d\r\n%s\r\n" % (size, b"x" * size), TOO_LARGE)
        client.set(b"small", b"1")
        self.assertEqual(client.get(b"small"), b"1")

    def test_13_a_cas_is_never_failed_over(self):
        nodes, ((lost, _), (kept, _)), client = self.two()
        number = int(client.command(b"gets %s\r\n" % kept).split()[4])
        self.ask(client, b"cas %s 0 0 1 %d\r\nx\r\n" % (kept, number + 1), b"EXISTS\r\n")
        self.ask(client, b"cas none 0 0 1 %d\r\nx\r\n" % number, b"NOT_FOUND\r\n")
        nodes[0].kill()
        self.ask(client, b"cas %s 0 0 1 %d\r\nx\r\n" % (lost, number), SERVER_ERROR)
        self.assertIsNone(self.wire(nodes[1]).get(lost))

    def test_14_a_cap_never_lengthens_a_life(self):
        node = self.memcached()
        client = self.wire(self.proxy(config=CAPPED.format(address=node.address)))
        soon = int(time.time()) + 5
        for exptime, longest in ((soon, 5), (0, 60), (5, 5), (soon + 7200, 60), (7200, 60), (2592000, 60)):
            for write in (b"set capped:k 0 %d 1\r\nx\r\n" % exptime, b"ms capped:k 1 T%d\r\nx\r\n" % exptime,
                          b"touch capped:k %d\r\n" % exptime, b"mg capped:k T%d\r\n" % exptime,
                          b"gat %d capped:k\r\n" % exptime):
                client.command(write)
                reply = self.ask(client, b"mg capped:k t\r\n", re.compile(rb"HD t\d+\r\n"))
                # A node counts by a clock that is up to a second late.
                self.assertIn(int(reply[4:]), range(longest - 4, longest + 2), write)
        self.ask(client, b"ms capped:k 1\r\nx\r\nmg capped:k t\r\n", re.compile(rb"HD\r\nHD t(60|59|58)\r\n"))
        self.ask(client, b"ms free 1\r\nx\r\nmg free t\r\n", b"HD\r\nHD t-1\r\n")
        self.ask(client, b"set capped:k 0 -1 1\r\nx\r\nget capped:k\r\n", b"STORED\r\nEND\r\n")

    def test_15_a_declared_length_costs_nothing_until_bytes_come(self):
        server = self.fleet(1)[1]
        client = self.wire(server)
        client.set(b"a", b"1")
        before = server.rss_kib()
        claims = [self.wire(server) for _ in range(50)]
        for claim in claims:
            claim.send(b"set k 0 0 2147483000\r\nfirst bytes")
        time.sleep(0.3)
        self.assertLess(server.rss_kib() - before, 8192)
        for size in (2 << 20, 30 << 20):
            self.ask(client, b"set a 0 0 %d\r\n%s\r\n" % (size, b"v" * size), TOO_LARGE)
        self.assertLess(server.rss_kib() - before, 24576)
        self.ask(client, b"get a\r\n", b"END\r\n")


class HostileClients(Case):
    def setUp(self):
        self.server = self.fleet(2)[1]
        self.neighbour = self.wire(self.server)
        self.neighbour.set(b"n", b"fine")

    def all_is_well(self):
        self.assertEqual(self.neighbour.get(b"n"), b"fine")
        self.assertEqual(self.wire(self.server).get(b"n"), b"fine")

    def test_client_that_does_not_read_is_not_read(self):
        value = bytes(range(65, 91)) * 4000
        greedy = self.wire(self.server)
        greedy.set(b"big", value)
        self.assertEqual(greedy.get(b"big"), value)  # How large its replies are is known from now on.
        before = self.server.rss_kib()
        greedy.socket.settimeout(0.5 * SLOW)
        asked = 0
        try:
            while asked < 20_000:  # Two gigabytes of replies.
                greedy.socket.sendall(b"get big\r\n")
                asked += 1
        except TimeoutError:
            pass
        self.all_is_well()
        self.assertLess(self.server.rss_kib() - before, 64 << 10)
        expected = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
        for _ in range(20):
            self.assertTrue(greedy.take(len(expected)) == expected, "the replies are not whole and in order")

    def test_churn_and_clients_that_leave_half_way(self):
        chance = random.Random(9)
        whole = b"set c 0 0 20\r\n01234567890123456789\r\nget c n nope\r\nmg c v\r\ngets n\r\n" * 3
        for _ in range(300):
            client = socket.create_connection(("127.0.0.1", self.server.port))
            client.sendall(whole[:chance.randrange(len(whole))])
            if chance.random() < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
            client.close()
        self.all_is_well()

    def test_random_bytes(self):
        chance = random.Random(10)
        words = [b"get ", b"set ", b"ms ", b"mg ", b"\r\n", b"\n", b"\0", b" 0 0 5\r\n", b"-1 ", b"n ", b"\xff", b"q k O1 "]
        for _ in range(150):
            client = socket.create_connection(("127.0.0.1", self.server.port))
            try:
                client.sendall(b"".join(chance.choice(words) for _ in range(60)) + chance.randbytes(200))
            except ConnectionError:
                pass
            client.close()
        self.assertTrue(self.server.alive())
        self.neighbour.set(b"n", b"fine")
        self.all_is_well()

    def test_body_that_dribbles_in(self):
        client = self.wire(self.server)
        for byte in b"set d 0 0 300\r\n" + b"x" * 300 + b"\r\n":
            client.send(bytes([byte]))
        self.ask(client, b"", b"STORED\r\n")

    def test_get_of_very_many_keys(self):
        client = self.wire(self.server)
        keys = [b"key:%d" % n for n in range(20_000)]
        client.set(keys[0], b"0")
        client.set(keys[-1], b"1")
        self.ask(client, b"get " + b" ".join(keys) + b"\r\n",
                 b"VALUE %s 0 1\r\n0\r\nVALUE %s 0 1\r\n1\r\nEND\r\n" % (keys[0], keys[-1]))

    def test_a_thousand_idle_clients_cost_little(self):
        clients = [self.wire(self.server) for _ in range(20)]
        for client in clients:
            self.assertEqual(client.get(b"n"), b"fine")
        before = self.server.rss_kib()
        clients += [self.wire(self.server) for _ in range(1000)]
        self.assertEqual(clients[-1].get(b"n"), b"fine")
        if SLOW == 1:
            self.assertLess(self.server.rss_kib() - before, 2048)
        self.all_is_well()

    def test_binary_protocol_is_refused(self):
        client = self.wire(self.server)
        client.send(b"\x80\x0a" + b"\0" * 22 + b"\r\n")
        self.assertIn(client.line(), (b"ERROR\r\n", b""))
        self.all_is_well()


if __name__ == "__main__":
    unittest.main()
