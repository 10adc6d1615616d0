"""How long sealed values live: caps, age, and what the tokens in them say."""
import base64
import json
import re
import time
import unittest

from harness import SLOW, eventually
from sealed import SPACE, SealedCase, envelope


def coded(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=")


def jwt(**claims):
    return coded({"alg": "RS256", "typ": "JWT"}) + b"." + coded(claims) + b"." + base64.urlsafe_b64encode(b"s" * 64).rstrip(b"=")


def wait_past(moment):
    eventually(lambda: time.time() > moment + 0.1, moment + 10 - time.time(), "that time")


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Life(SealedCase):
    def start(self, rules):
        self.node = self.memcached()
        self.front = self.wire(self.sealed([self.node], rules='seal = "require"\nblind_keys = true\n' + rules))
        self.behind = self.wire(self.node)

    def left(self, name, wire=None):
        """Seconds that the node lets the key live; None: it is not there."""
        reply = self.behind.command(b"mg %s t\r\n" % self.blinded(SPACE + name))
        return None if reply == b"EN\r\n" else int(reply.split()[1][1:])

    def shown(self, name):
        """Seconds that a client is told."""
        return int(self.front.command(b"mg %s%s t\r\n" % (SPACE, name)).split()[1][1:])

    def about(self, left, expected, what=None):
        self.assertIsNotNone(left, what)
        self.assertLessEqual(left, expected + 1)
        self.assertGreaterEqual(left, expected - 4)

    def test_the_cap_holds_on_every_road(self):
        self.start('ttl_cap = "15m"\n')
        writes = (b"set %s 0 0 1\r\n1\r\n", b"set %s 0 2000000000 1\r\n1\r\n", b"ms %s 1\r\n1\r\n", b"ms %s 1 T5000\r\n1\r\n",
                  b"replace %s 0 0 1\r\n1\r\n", b"touch %s 0\r\n", b"gat 5000 %s\r\n", b"mg %s T0\r\n", b"ma %s T0\r\n",
                  b"append %s 0 0 1\r\n1\r\n", b"incr %s 1\r\n", b"ms %s 1 MA T9000\r\n1\r\n")
        for write in writes:
            self.front.command(write % (SPACE + b"k"))
            self.about(self.left(b"k"), 900, write)
        self.front.command(b"ma %snew N0 J5\r\nmg %slease N9000 v\r\n" % (SPACE, SPACE))
        self.about(self.left(b"new"), 900)
        self.about(self.left(b"lease"), 900)

    def test_max_age_ends_what_is_touched_and_changed_for_ever(self):
        age = 3 + int(3 * SLOW)
        self.start(f"max_age = {age}\n")
        born = time.time()
        self.front.set(SPACE + b"k", b"1")
        self.front.set(SPACE + b"n", b"1")
        end = int(time.time()) + age  # Or before, by whole seconds.
        while time.time() < born + age / 2:
            self.ask(self.front, b"touch %sk 0\r\ngat 0 %sk\r\n" % (SPACE, SPACE),
                     b"TOUCHED\r\nVALUE %sk 0 1\r\n1\r\nEND\r\n" % SPACE)
            self.front.command(b"incr %sn 1\r\nma %sn T0\r\n" % (SPACE, SPACE))
            asked = int(time.time() - 0.1)  # The proxy's clock may be some milliseconds late.
            self.assertLessEqual(self.shown(b"k"), end - asked)
            time.sleep(0.05)
        self.assertIsNotNone(self.front.get(SPACE + b"n"))
        wait_past(end)
        self.assertIsNotNone(self.left(b"k"))  # The node would still have it.
        self.assertEqual([self.front.get(SPACE + name) for name in (b"k", b"n")], [None, None])
        self.assertGreaterEqual(self.tallies(self.front)["open_expired"], 1)
        self.ask(self.front, b"incr %sk 1\r\n" % SPACE, b"NOT_FOUND\r\n")

    def test_a_tokens_own_end_shortens_its_life(self):
        self.start('ttl_from_token = true\nttl_cap = "1h"\nskew = "10s"\n')
        now = int(time.time())
        ends = {
            b"jwt": jwt(exp=now + 300, iat=now), b"json": json.dumps({"exp": now + 300}).encode(),
            b"at": json.dumps({"expires_at": now + 300}).encode(),
            b"date": json.dumps({"expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 300))}).encode(),
            b"in": json.dumps({"access_token": "x", "expires_in": 300}).encode(),
            b"ms": json.dumps({"exp": (now + 300) * 1000}).encode(),
            b"introspection": jwt(token_introspection={"active": True, "exp": now + 300}),
            b"nested": json.dumps({"token_introspection": {"active": True, "exp": now + 300}}).encode(),
        }
        for name, token in ends.items():
            with self.subTest(name):
                self.front.set(SPACE + name, token, exptime=2000)
                self.about(self.left(name), 290)
                self.about(self.shown(name), 290)
                self.assertEqual(self.front.get(SPACE + name), token)
                # A touch cannot lengthen it: the end is sealed in.
                self.ask(self.front, b"touch %s%s 3000\r\n" % (SPACE, name), b"TOUCHED\r\n")
                self.about(self.shown(name), 290)
        for name, token in {b"none": b"opaque", b"far": jwt(exp=now + 10**6), b"huge": jwt(exp=10**17)}.items():
            self.front.set(SPACE + name, token)
            self.about(self.left(name), 3600)
            self.assertEqual(self.front.get(SPACE + name), token)
        self.front.set(SPACE + b"short", jwt(exp=now + 300), exptime=20)
        self.about(self.left(b"short"), 20)
        self.assertEqual(self.tallies(self.front)["lives_from_token"], len(ends) + 3)

    def test_what_is_over_at_the_write_ends_the_old_value(self):
        self.start("ttl_from_token = true\n")
        over = jwt(exp=int(time.time()) - 5)
        for write in (b"set %s 0 100 %d\r\n%s\r\n", b"replace %s 0 0 %d\r\n%s\r\n"):
            self.front.set(SPACE + b"k", b"old")
            self.ask(self.front, write % (SPACE + b"k", len(over), over), b"STORED\r\n")
            self.assertIsNone(self.front.get(SPACE + b"k"))
            self.assertIsNone(self.left(b"k"))
        self.ask(self.front, b"ms %sk %d c T50\r\n%s\r\nmg %sk v\r\n" % (SPACE, len(over), over, SPACE),
                 re.compile(rb"HD c\d+\r\nEN\r\n"))
        self.ask(self.front, b"add %sk 0 0 %d\r\n%s\r\n" % (SPACE, len(over), over), b"STORED\r\n")

    def test_strict_refuses_what_does_not_say_when_it_ends(self):
        self.start('ttl_from_token = "strict"\n')
        refused = b"CLIENT_ERROR value does not say when it expires\r\n"
        for value in (b"opaque", jwt(sub="x"), b'{"active":false}', b""):
            self.ask(self.front, b"set %sk 0 9 %d\r\n%s\r\n" % (SPACE, len(value), value), refused)
            self.ask(self.front, b"ms %sk %d T9\r\n%s\r\n" % (SPACE, len(value), value), refused)
        self.assertIsNone(self.left(b"k"))
        self.front.set(SPACE + b"k", jwt(exp=int(time.time()) + 50))
        self.about(self.left(b"k"), 50)

    def test_what_ends_at_the_read_is_a_miss_though_the_node_has_it(self):
        self.start("ttl_from_token = true\n")
        end = int(time.time()) + 3
        token = jwt(exp=end)
        self.front.set(SPACE + b"k", token)
        self.ask(self.front, b"touch %sk 1000\r\n" % SPACE, b"TOUCHED\r\n")
        self.assertEqual(self.front.get(SPACE + b"k"), token)
        wait_past(end)
        self.assertIsNotNone(self.left(b"k"))
        for read in (b"mg %sk v\r\n", b"mg %sk\r\n", b"get %sk\r\n", b"gats 0 %sk\r\n"):
            self.assertIn(self.front.command(read % SPACE), (b"EN\r\n", b"END\r\n"))
        self.assertEqual(self.tallies(self.front)["open_expired"], 4)


if __name__ == "__main__":
    unittest.main()
