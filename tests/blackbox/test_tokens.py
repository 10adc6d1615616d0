"""Promises about tokens: revoked means gone, once means once, what was seen stays seen."""
import json
import os
import threading
import time
import unittest

from harness import SLOW, TIMEOUT, eventually
from sealed import SPACE, SealedCase, envelope

ROUNDS = int(os.environ.get("TOKENRING_ROUNDS", "250"))  # Of each race.
SEALED = 'seal = "require"\nblind_keys = true\n'
GROUP = SPACE + b"{u42}"


class TokenCase(SealedCase):
    def start(self, rules, proxies=2, nodes=3, pool="", memcached=()):
        self.nodes = [self.memcached(*memcached) for _ in range(nodes)]
        self.proxies = [self.sealed(self.nodes, rules=SEALED + rules, pool=pool) for _ in range(proxies)]
        self.wires = [self.wire(proxy) for proxy in self.proxies]
        return self.wires

    def stored(self, wire, key, value):
        self.ask(wire, b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED\r\n")


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Revocation(TokenCase):
    def test_a_delete_of_the_group_ends_all_of_it_at_every_proxy(self):
        a, b = self.start("revocable = true\n")
        mine = [GROUP + b":%d" % n for n in range(20)]
        other = SPACE + b"{u43}:1"
        for key in mine + [other]:
            self.stored(a, key, b"v" + key)
        for wire in (a, b):
            for key in mine + [other]:
                self.assertEqual(wire.get(key), b"v" + key)
        self.ask(b, b"delete %s\r\n" % GROUP, b"DELETED\r\n")
        for wire in (a, b):
            for key in mine:
                self.assertIsNone(wire.get(key))
                self.ask(wire, b"mg %s v\r\n" % key, b"EN\r\n")
                self.ask(wire, b"gat 100 %s\r\n" % key, b"END\r\n")
            self.assertEqual(wire.get(other), b"v" + other)
            self.ask(wire, b"get %s %s %s\r\n" % (mine[0], other, mine[1]),
                     b"VALUE %s 0 %d\r\nv%s\r\nEND\r\n" % (other, len(other) + 1, other))
        self.assertEqual(self.tallies(b)["revocations"], 1)
        self.assertGreater(self.tallies(a)["read_revoked"], 20)

    def test_the_group_lives_on(self):
        a, b = self.start("revocable = true\n")
        key = GROUP + b":1"
        for n in range(5):
            self.stored(a, key, b"%d" % n)
            self.assertEqual([a.get(key), b.get(key)], [b"%d" % n] * 2)
            self.ask(a, b"md %s k O7\r\n" % GROUP, b"HD k%s O7\r\n" % GROUP)
            self.assertEqual([a.get(key), b.get(key)], [None] * 2)

    def test_every_write_works_on_what_a_client_can_see(self):
        a, b = self.start("revocable = true\n")
        key = GROUP + b":1"
        for wire in (a, b):
            self.ask(wire, b"replace %s 0 0 1\r\nx\r\n" % key, b"NOT_STORED\r\n")
            self.ask(wire, b"add %s 0 0 1\r\n5\r\n" % key, b"STORED\r\n")
            self.ask(wire, b"add %s 0 0 1\r\nx\r\n" % key, b"NOT_STORED\r\n")
            self.ask(wire, b"incr %s 2\r\n" % key, b"7\r\n")
            self.ask(wire, b"append %s 0 0 1\r\n1\r\n" % key, b"STORED\r\n")
            self.ask(wire, b"replace %s 3 0 2\r\n88\r\n" % key, b"STORED\r\n")
            reply = wire.command(b"gets %s\r\n" % key)
            cas = reply.split(b"\r\n")[0].split()[-1]
            self.ask(wire, b"cas %s 0 0 1 %d\r\nx\r\n" % (key, int(cas) + 1), b"EXISTS\r\n")
            self.ask(wire, b"cas %s 0 0 2 %s\r\n99\r\n" % (key, cas), b"STORED\r\n")
            self.ask(wire, b"ma %s v\r\n" % key, b"VA 3\r\n100\r\n")
            self.ask(wire, b"delete %s\r\n" % GROUP, b"DELETED\r\n")
            for command, answer in ((b"incr %s 1\r\n", b"NOT_FOUND\r\n"), (b"append %s 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
                                    (b"replace %s 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
                                    (b"ms %s 1 C" + cas + b"\r\nx\r\n", b"NF\r\n"), (b"ma %s\r\n", b"NF\r\n")):
                self.ask(wire, command % key, answer)
            self.assertIsNone(wire.get(key))

    def test_a_fill_that_began_before_does_not_bring_it_back(self):
        for has_marker in (True, False):
            with self.subTest(has_marker=has_marker):
                a, b = self.start("revocable = true\n")
                key, fresh = GROUP + b":1", self.wire(self.proxies[0])
                if has_marker:
                    self.stored(b, GROUP + b":2", b"x")
                self.assertIsNone(a.get(key))  # ... and goes to fetch it.
                self.ask(b, b"delete %s\r\n" % GROUP, b"DELETED\r\n")
                self.stored(a, key, b"of before")
                self.assertEqual([a.get(key), b.get(key)], [None, None])
                self.stored(fresh, key, b"new")  # Whoever writes without having read is no fill.
                self.assertEqual([a.get(key), b.get(key)], [b"new", b"new"])

    def test_a_client_that_revokes_may_write_at_once(self):
        a, b = self.start("revocable = true\n")
        key = GROUP + b":1"
        self.stored(a, key, b"1")
        self.assertEqual(a.get(key), b"1")
        a.send(b"delete %s\r\nset %s 0 0 1\r\n2\r\nget %s\r\n" % (GROUP, key, key))
        self.assertEqual(a.until(b"END\r\n"), b"DELETED\r\nSTORED\r\nVALUE %s 0 1\r\n2\r\nEND\r\n" % key)
        self.assertEqual(b.get(key), b"2")

    def test_a_key_without_a_tag_is_a_group_of_its_own(self):
        a, b = self.start("revocable = true\n")
        self.stored(a, SPACE + b"plain", b"1")
        self.assertEqual(b.get(SPACE + b"plain"), b"1")
        self.ask(b, b"delete %splain\r\n" % SPACE, b"DELETED\r\n")
        self.assertEqual([a.get(SPACE + b"plain"), b.get(SPACE + b"plain")], [None, None])

    def test_where_tags_do_not_choose_the_node(self):
        a, b = self.start("revocable = true\n", pool='placement = "libmemcached-ketama"\n')
        mine = [GROUP + b":%d" % n for n in range(30)]
        for key in mine:
            self.stored(a, key, key)
        self.assertEqual([b.get(key) for key in mine], mine)
        b.send(b"get %s\r\n" % b" ".join(mine))
        self.assertEqual(b.until(b"END\r\n").count(b"VALUE"), 30)
        self.ask(a, b"delete %s\r\n" % GROUP, b"DELETED\r\n")
        self.assertEqual([b.get(key) for key in mine] + [a.get(key) for key in mine], [None] * 60)
        self.stored(b, mine[3], b"again")
        self.assertEqual(a.get(mine[3]), b"again")

    def test_a_lost_marker_is_a_miss_and_a_node_that_is_away_an_error(self):
        a, b = self.start("revocable = true\n", nodes=1)
        key = GROUP + b":1"
        self.stored(a, key, b"1")
        self.assertEqual(b.get(key), b"1")
        self.nodes[0].restart()
        eventually(lambda: a.get(key) is None and b.get(key) is None)
        eventually(lambda: a.get(key) in (None, b"2") and a.command(b"set %s 0 0 1\r\n2\r\n" % key) == b"STORED\r\n"
                   and b.get(key) == b"2")
        self.nodes[0].freeze()
        self.assertTrue(a.command(b"delete %s\r\n" % GROUP).startswith(b"SERVER_ERROR"))
        self.nodes[0].thaw()
        eventually(lambda: a.command(b"delete %s\r\n" % GROUP) == b"DELETED\r\n")
        self.assertIsNone(b.get(key))

    def test_not_before_fails_open(self):
        a, b = self.start('revocable = "not_before"\n', nodes=1)
        key = GROUP + b":1"
        self.stored(a, key, b"1")
        self.assertEqual(b.get(key), b"1")
        time.sleep(1.1 - time.time() % 1)
        second = int(time.time())
        self.ask(b, b"delete %s\r\n" % GROUP, b"DELETED\r\n")
        self.assertEqual([a.get(key), b.get(key)], [None, None])
        self.ask(a, b"add %s 0 0 1\r\n2\r\n" % key, b"STORED\r\n")
        is_of_that_second = int(time.time()) == second
        time.sleep(1.1)
        if is_of_that_second:  # It never becomes good.
            self.assertEqual([a.get(key), b.get(key)], [None, None])
        self.stored(a, key, b"3")
        self.assertEqual([a.get(key), b.get(key)], [b"3", b"3"])

    def race(self, end):
        """A client reads, and sets what it fetched, while another ends what there was: nothing comes back."""
        keys = [SPACE + b"{f%d}:k" % n for n in range(ROUNDS)]
        start, done, wrong = threading.Barrier(2), threading.Barrier(2), []

        def ends():
            wire = self.wire(self.proxies[1])
            for n, key in enumerate(keys):
                start.wait()
                reply = wire.command(end % (key if b"{" not in end else (SPACE, n)))
                if reply not in (b"DELETED\r\n", b"NOT_FOUND\r\n"):
                    wrong.append(reply)
                done.wait()

        thread = threading.Thread(target=ends)
        thread.start()
        filler, late = self.wires
        for key in keys:
            filler.get(key)
            start.wait()
            filler.set(key, b"of before")
            done.wait()
            wrong += [key for wire in (filler, late) if wire.get(key) is not None]
        thread.join()
        self.assertEqual(wrong, [])

    def test_no_fill_that_races_a_revocation_comes_back(self):
        self.start("revocable = true\n")
        self.race(b"delete %s{f%d}\r\n")

    def test_no_fill_that_races_a_guarded_delete_comes_back(self):
        self.start('fill_guard = "60s"\n')
        self.race(b"delete %s\r\n")

    def test_under_load_no_read_after_the_answer_sees_what_was_revoked(self):
        self.start("revocable = true\n")
        wrong, stop, lock = [], threading.Event(), threading.Lock()
        floor = {user: 0 for user in range(8)}  # The lowest number that may still be read.

        def key(user):
            return SPACE + b"{user%d}:session" % user

        def revoker(user):
            wire, number = self.wire(self.proxies[user % 2]), 0
            while not stop.is_set():
                number += 1
                if wire.command(b"set %s 0 0 8\r\n%08d\r\n" % (key(user), number)) != b"STORED\r\n":
                    wrong.append("set")
                if wire.command(b"delete %s{user%d}\r\n" % (SPACE, user)) != b"DELETED\r\n":
                    wrong.append("delete")
                with lock:
                    floor[user] = number + 1

        def reader(which):
            wire = self.wire(self.proxies[which % 2])
            while not stop.is_set():
                for user in floor:
                    with lock:
                        least = floor[user]
                    value = wire.get(key(user))
                    if value is not None and int(value) < least:
                        wrong.append((user, least, value))

        threads = [threading.Thread(target=revoker, args=(user,)) for user in floor]
        threads += [threading.Thread(target=reader, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(3)
            eventually(lambda: min(floor.values()) > 20 or wrong, 4 * TIMEOUT, "everybody has revoked often")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Once(TokenCase):
    def test_the_first_reader_is_the_only_one(self):
        a, b = self.start("one_time = true\n")
        key = SPACE + b"reset:1"
        for read, hit in ((b"get %s\r\n", b"VALUE %s 5 3\r\nabc\r\nEND\r\n"), (b"mg %s v f\r\n", b"VA 3 f5\r\nabc\r\n"),
                          (b"mg %s k v\r\n", b"VA 3 k%s\r\nabc\r\n"), (b"gat 10 %s\r\n", b"VALUE %s 5 3\r\nabc\r\nEND\r\n")):
            self.ask(a, b"set %s 5 0 3\r\nabc\r\n" % key, b"STORED\r\n")
            self.ask(b, b"mg %s\r\n" % key, b"HD\r\n")  # To look is not to read.
            self.ask(b, read % key, hit % key if b"%s" in hit else hit)
            for wire in (a, b):
                self.assertIsNone(wire.get(key))
                self.ask(wire, b"mg %s v\r\n" % key, b"EN\r\n")
        self.ask(a, b"set %s 5 0 3\r\nabc\r\n" % key, b"STORED\r\n")
        reply = b.command(b"gets %s\r\n" % key)
        self.assertEqual(len(reply.split(b"\r\n")[0].split()), 5)
        self.assertIsNone(a.get(key))

    def test_keys_of_one_get_and_of_one_batch(self):
        a, b = self.start("one_time = true\n")
        key, other = SPACE + b"1", SPACE + b"2"
        self.stored(a, key, b"x")
        self.stored(a, other, b"y")
        b.send(b"get %s %s %s\r\nget %s\r\n" % (key, other, key, key))
        self.assertEqual(b.until(b"END\r\n"), b"VALUE %s 0 1\r\nx\r\nVALUE %s 0 1\r\ny\r\nEND\r\n" % (key, other))
        self.assertEqual(b.until(b"END\r\n"), b"END\r\n")
        self.stored(a, key, b"1")
        self.assertTrue(a.command(b"incr %s 1\r\n" % key).startswith(b"CLIENT_ERROR"))

    def test_of_racing_readers_exactly_one_wins(self):
        rounds = ROUNDS
        self.start("one_time = true\n")
        won, lock = [0] * rounds, threading.Lock()
        start, end = threading.Barrier(9), threading.Barrier(9)

        def reader(which):
            wire = self.wire(self.proxies[which % 2])
            for n in range(rounds):
                start.wait()
                value = wire.get(SPACE + b"code:%d" % n)
                if value is not None:
                    assert value == b"%d" % n
                    with lock:
                        won[n] += 1
                end.wait()

        readers = [threading.Thread(target=reader, args=(n,)) for n in range(8)]
        for thread in readers:
            thread.start()
        for n in range(rounds):
            self.stored(self.wires[0], SPACE + b"code:%d" % n, b"%d" % n)
            start.wait()
            end.wait()
        for thread in readers:
            thread.join()
        self.assertEqual(won, [1] * rounds)
        tallies = [self.tallies(wire) for wire in self.wires]
        self.assertEqual(sum(t["consumed"] for t in tallies), rounds)


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Guards(TokenCase):
    def test_what_was_seen_is_seen_again_by_every_proxy(self):
        a, b = self.start('replay_guard = true\nttl_from_token = true\n')
        key, now = SPACE + b"jti:1", int(time.time())
        token = json.dumps({"jti": "1", "exp": int(now + 1 + 2 * SLOW)}).encode()
        self.ask(a, b"add %s 0 0 %d\r\n%s\r\n" % (key, len(token), token), b"STORED\r\n")
        for wire in (a, b):
            self.ask(wire, b"add %s 0 0 %d\r\n%s\r\n" % (key, len(token), token), b"NOT_STORED\r\n")
            self.ask(wire, b"ms %s %d ME\r\n%s\r\n" % (key, len(token), token), b"NS\r\n")
            for command in (b"set %s 0 0 1\r\nx\r\n", b"delete %s\r\n", b"touch %s 0\r\n", b"incr %s 1\r\n", b"md %s\r\n", b"append %s 0 0 1\r\nx\r\n"):
                self.assertTrue(wire.command(command % key).startswith(b"CLIENT_ERROR only add and get"), command)
            self.ask(wire, b"gat 0 %s\r\nmg %s T0 v\r\n" % (key, key), b"END\r\nEN\r\n")
            self.assertEqual(wire.get(key), token)
        eventually(lambda: a.get(key) is None)
        self.ask(a, b"add %s 0 0 %d\r\n%s\r\n" % (key, len(token), token), b"NOT_STORED\r\n")  # It is over.
        self.assertEqual(sum(self.tallies(wire)["replays_refused"] for wire in (a, b)), 4)

    def test_what_a_node_has_lost_is_told_when_it_is_added_again(self):
        a, b = self.start('replay_guard = true\n')
        key = SPACE + b"jti:1"
        self.ask(a, b"add %s 0 600 1\r\nx\r\n" % key, b"STORED\r\n")
        self.ask(b, b"add %s 0 600 1\r\nx\r\n" % key, b"NOT_STORED\r\n")
        self.assertEqual(self.tallies(a)["replays_forgotten"], 0)
        gone = [self.wire(node).command(b"delete %s\r\n" % self.blinded(key)) for node in self.nodes]
        self.assertEqual(sorted(gone), [b"DELETED\r\n"] + [b"NOT_FOUND\r\n"] * 2)
        again = self.wire(self.proxies[0])
        self.ask(again, b"add %s 0 600 1\r\nx\r\n" % key, b"STORED\r\n")
        self.assertEqual(self.tallies(a)["replays_forgotten"], 1)
        self.proxies[0].says("replay: what had been added was lost before its time, and was added again")
        self.assertNotIn("jti:1", self.proxies[0].output())
        self.ask(b, b"add %s 0 600 1\r\nx\r\n" % key, b"NOT_STORED\r\n")
        self.assertEqual([self.tallies(wire)["replays_forgotten"] for wire in (a, b)], [1, 0])

    def test_a_delete_keeps_fills_away_for_a_while(self):
        a, b = self.start(f'fill_guard = "{int(1 + 2 * SLOW)}s"\n')
        key = SPACE + b"k"
        self.ask(a, b"delete %s\r\n" % key, b"NOT_FOUND\r\n")
        self.stored(b, key, b"stale")
        self.assertIsNone(b.get(key))
        eventually(lambda: b.command(b"set %s 0 0 3\r\nnew\r\n" % key) == b"STORED\r\n" and b.get(key) == b"new",
                   2 * TIMEOUT, "the guard is over")
        self.ask(a, b"delete %s\r\n" % key, b"DELETED\r\n")
        self.ask(b, b"add %s 0 0 1\r\n1\r\n" % key, b"STORED\r\n")
        self.ask(b, b"replace %s 0 0 1\r\n1\r\n" % key, b"NOT_STORED\r\n")
        self.ask(b, b"incr %s 1\r\n" % key, b"NOT_FOUND\r\n")
        self.assertEqual([a.get(key), b.get(key)], [None, None])
        self.assertGreaterEqual(self.tallies(b)["stale_fills"], 2)
        self.assertEqual(self.tallies(b)["open_malformed"], 0)

    def test_a_value_that_is_too_large_is_no_delete(self):
        """It ends the old item, and nothing else: neither a group, nor what is written next."""
        too_large = 2 << 20
        a, _ = self.start("revocable = true\n")
        self.stored(a, GROUP + b":1", b"v")
        for line in (b"set %s 0 0 %d\r\n", b"ms %s %d\r\n"):
            self.ask(a, line % (GROUP, too_large) + b"x" * too_large + b"\r\n",
                     b"SERVER_ERROR object too large for cache\r\n")
            self.assertEqual(a.get(GROUP + b":1"), b"v")
        self.assertEqual(self.tallies(a)["revocations"], 0)
        a, _ = self.start('fill_guard = "60s"\n')
        key = SPACE + b"k"
        self.stored(a, key, b"old")
        self.ask(a, b"set %s 0 0 %d\r\n" % (key, too_large) + b"x" * too_large + b"\r\n",
                 b"SERVER_ERROR object too large for cache\r\n")
        self.assertIsNone(a.get(key))
        self.stored(a, key, b"new")
        self.assertEqual(a.get(key), b"new")

    def test_of_many_that_miss_one_fetches(self):
        for rules in ('herd_wait = "3s"\n', 'herd_wait = "3s"\ncoalesce = true\n', 'herd_wait = "3s"\nrevocable = true\n'):
            with self.subTest(rules=rules):
                a, b = self.start(rules)
                key, fetches, values, lock = SPACE + b"{g}hot", [], [], threading.Lock()
                go = threading.Barrier(16)

                def client(which):
                    wire = self.wire(self.proxies[which % 2])
                    go.wait()
                    wire.send(b"get %s\r\n" % key)
                    reply = wire.until(b"END\r\n")
                    if reply == b"END\r\n":
                        with lock:
                            fetches.append(which)
                        time.sleep(0.2)  # To fetch it takes a while.
                        wire.set(key, b"fetched", 100)
                    else:
                        with lock:
                            values.append(reply)

                threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(len(fetches), 1)
                self.assertEqual(values, [b"VALUE %s 0 7\r\nfetched\r\nEND\r\n" % key] * 15)
                self.assertGreater(sum(self.tallies(wire)["gets_waited"] for wire in (a, b)), 1)

    def test_nobody_waits_longer_than_that_and_add_sees_no_lease(self):
        a, b = self.start('herd_wait = "300ms"\n')
        key = SPACE + b"slow"
        self.ask(a, b"get %s\r\n" % key, b"END\r\n")
        self.ask(b, b"gets %s %s\r\n" % (key, key), b"END\r\n")  # It has waited.
        self.ask(b, b"replace %s 0 0 1\r\n1\r\n" % key, b"NOT_STORED\r\n")
        self.ask(b, b"add %s 3 0 1\r\n1\r\n" % key, b"STORED\r\n")
        self.ask(a, b"get %s\r\n" % key, b"VALUE %s 3 1\r\n1\r\nEND\r\n" % key)
        self.assertEqual(len(a.command(b"gets %s\r\n" % key).split(b"\r\n")[0].split()), 5)
        self.ask(a, b"add %s 3 0 1\r\n1\r\n" % key, b"NOT_STORED\r\n")

    def test_a_negative_answer_lives_shortly(self):
        (a,) = self.start('ttl_from_token = true\nttl_cap = "1h"\nnegative_ttl = "5s"\n', proxies=1)
        for name, value, least, most in ((b"no", b'{"active":false}', 1, 5), (b"yes", b'{"active":true}', 3000, 3600)):
            self.stored(a, SPACE + name, value)
            left = int(a.command(b"mg %s%s t\r\n" % (SPACE, name)).split()[1][1:])
            self.assertTrue(least <= left <= most, (name, left))


if __name__ == "__main__":
    unittest.main()
