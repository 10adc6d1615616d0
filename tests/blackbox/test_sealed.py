"""Sealed namespaces before real nodes: what a node can see, and what it can do about it."""
import base64
import hashlib
import json
import random
import re
import subprocess
import tempfile
import time
import unittest

from harness import BINARY, SLOW, eventually
from sealed import SPACE, Relay, SealedCase, envelope, memory_of, shapes_of, usual_commands

REASONS = ("open_auth_fail", "open_unknown_key", "open_plaintext", "open_expired", "open_malformed")
MISS = re.compile(rb"^(END|EN|EN ksess:k)\r\n$")
needs_envelope = unittest.skipIf(envelope is None, "needs python3-cryptography")


class Secrecy(SealedCase):
    def commands(self, key, value):
        """Every command of both dialects that carries a key or a value."""
        n = len(value)
        put = b"%s %s 5 0 %d\r\n%s\r\n"
        coded = base64.b64encode(key)
        yield put % (b"set", key, n, value)
        yield put % (b"set", key + b"+", n, value)
        for word in (b"add", b"replace", b"append", b"prepend"):
            yield put % (word, key, n, value)
        yield put % (b"add", key + b"2", n, value)
        yield from usual_commands(key, value, coded)
        yield b"mg %s v f s t c k h l Oo2\r\nmg %s b k v\r\nmg %s\r\nmg %s- N30 v\r\n" % (key, coded, key, key)
        yield b"md %s I T30\r\nmg %s v c\r\nme %s\r\nme %s b\r\n" % (key, key, key, coded)
        yield b"ma %s N60 J13 v t c k\r\nma %s v MD\r\nma %s v\r\n" % (key + b"#", key + b"#", key)
        yield b"set %s 0 0 %d noreply\r\n%s\r\nms %s %d q\r\n%s\r\n" % (key, n, value, key, n, value)
        yield b"set %s 0 0 2000000\r\n%s\r\n" % (key, b"x" * 2000000)
        yield put % (b"set", key, n, value)

    def test_nodes_never_hold_or_see_a_key_or_value(self):
        nodes = [self.memcached() for _ in range(2)]
        relays = [Relay(node) for node in nodes]
        for relay in relays:
            self.addCleanup(relay.stop)
        proxy = self.sealed(relays)
        wire = self.wire(proxy)
        dice = random.Random(5)
        secrets = []
        for number in range(12):
            name = b"tok%d." % number + base64.urlsafe_b64encode(dice.randbytes(48))
            if number % 3 == 0:
                name = b"{grp%d-%s}" % (number, dice.randbytes(12).hex().encode()) + name
            value = b'{"sub":"%s","n":%d}' % (dice.randbytes(30).hex().encode(), number)
            secrets += [name, value]
            for command in self.commands(SPACE + name, value):
                wire.command(command)
            self.assertEqual(wire.get(SPACE + name), value)
        forms = {form: secret for secret in secrets for form in shapes_of(secret)}
        # What must be found where it is looked for: else nothing found says nothing.
        canary = b"canary-" + dice.randbytes(20).hex().encode()
        wire.set(canary, canary)
        places = [(f"traffic of node {i}", [relay.seen()]) for i, relay in enumerate(relays)]
        places += [(f"memory of node {i}", memory_of(node.pid)) for i, node in enumerate(nodes)]
        pattern = re.compile(b"|".join(re.escape(form) for form in sorted(forms, key=len)))
        found, canaries = [], 0
        for place, pieces in places:
            for piece in pieces:
                canaries += canary in piece
                found += [(place, hit[0], forms[hit[0]]) for hit in pattern.finditer(piece)]
        self.assertGreaterEqual(canaries, 2)
        self.assertEqual(found[:5], [])

    def test_the_proxy_keeps_no_value_that_went_through(self):
        node = self.memcached()
        proxy = self.sealed([node], rules='seal = "require"\nblind_keys = true\nttl_from_token = true\n')
        wire = self.wire(proxy)
        dice = random.Random(6)
        values = [b'{"sub":"%s","exp":%d}' % (dice.randbytes(30).hex().encode(), time.time() + 1000) for _ in range(12)]
        values.append(b'{"big":"%s"}' % dice.randbytes(20000).hex().encode())
        for number, value in enumerate(values):
            for command in self.commands(SPACE + b"name%d" % number, value):
                wire.command(command)
            self.assertEqual(wire.get(SPACE + b"name%d" % number), value)
        wire.send(b"get " + b" ".join(SPACE + b"name%d" % number for number in range(13)) + b"\r\n")
        self.assertEqual(wire.until(b"END\r\n").count(b"VALUE"), 13)
        time.sleep(0.2)  # What was sent last is let go of behind that.
        self.require_readable(proxy)
        pieces = {value[at:at + 16]: value for value in values for at in range(0, min(len(value) - 15, 400), 4)}
        pattern = re.compile(b"|".join(map(re.escape, pieces)))
        found, is_read = [], False
        for piece in memory_of(proxy.pid):
            is_read |= SPACE in piece  # Of the configuration.
            found += [(hit[0], pieces[hit[0]][:30]) for hit in pattern.finditer(piece)]
        self.assertTrue(is_read)
        self.assertEqual(found[:5], [])

    @needs_envelope
    def test_the_node_has_what_the_format_says(self):
        node = self.memcached()
        wire, behind = self.wire(self.sealed([node])), self.wire(node)
        key = SPACE + b"{u7}:access"
        wire.set(key, b"the value", flags=77)
        sealed = behind.get(self.blinded(key))
        plain = envelope.open_sealed([self.keys.keys()["primary"]], SPACE, key, sealed, flags=77)[0]
        self.assertEqual(plain, b"the value")
        other = envelope.seal(self.keys.keys()["primary"], SPACE, key, b"of another proxy", flags=3)
        behind.set(self.blinded(key), other, flags=3)
        self.ask(wire, b"get %s\r\n" % key, b"VALUE %s 3 16\r\nof another proxy\r\nEND\r\n" % key)


@needs_envelope
class Tampering(SealedCase):
    READS = (b"get %s\r\n", b"gets %s\r\n", b"gat 0 %s\r\n", b"mg %s v\r\n", b"mg %s v f t s c k\r\n", b"mg %s\r\n")

    def setUp(self):
        super().setUp()
        self.node = self.memcached()
        more = '[[namespaces]]\nprefix = "other:"\nseal = "require"\n'
        self.server = self.sealed([self.node], more=more)
        self.front, self.behind = self.wire(self.server), self.wire(self.node)
        self.key = SPACE + b"k"
        self.place = self.blinded(self.key)

    def put(self, value, flags=7):
        self.behind.set(self.place, value, flags=flags)

    def misses(self, reason, what):
        """Each kind of read of the key is a miss, counted once under that reason and no other."""
        for read in self.READS:
            before = self.tallies(self.front)
            reply = self.front.command(read % self.key)
            self.assertRegex(reply, MISS, f"{what}: {read!r}")
            after = self.tallies(self.front)
            counted = {name: after[name] - before[name] for name in REASONS if after[name] != before[name]}
            self.assertEqual(counted, {reason: 1} if reason else {}, f"{what}: {read!r}")

    def test_no_flipped_byte_opens(self):
        self.front.set(self.key, b"a secret of some length", flags=7)
        good = self.behind.get(self.place)
        before = self.tallies(self.front)
        for at in range(len(good)):
            for bit in (0x01, 0x80):
                self.put(good[:at] + bytes([good[at] ^ bit]) + good[at + 1:])
                for read in (b"get %s\r\n", b"mg %s v\r\n"):
                    self.assertRegex(self.front.command(read % self.key), MISS, f"byte {at}")
        after = self.tallies(self.front)
        counted = {name: after[name] - before[name] for name in REASONS}
        # The magic is 2 bytes; version, bits: 2; the key's id: 4; two bits each, two reads each. Some of
        # the bits are flags that may be set: these are caught by the tag.
        self.assertEqual(counted["open_plaintext"], 8)
        self.assertEqual(counted["open_unknown_key"], 16)
        self.assertEqual(sum(counted.values()), 4 * len(good))
        self.put(good)
        self.assertEqual(self.front.get(self.key), b"a secret of some length")

    def test_a_value_opens_only_in_its_place(self):
        self.front.set(self.key, b"mine", flags=7)
        good = self.behind.get(self.place)
        self.put(good, flags=8)
        self.misses("open_auth_fail", "other flags")
        self.put(good, flags=0)
        self.misses("open_auth_fail", "no flags")
        self.front.set(SPACE + b"other", b"theirs", flags=7)
        self.put(self.behind.get(self.blinded(SPACE + b"other")))
        self.misses("open_auth_fail", "another key's")
        self.front.set(b"other:k", b"theirs", flags=7)
        self.put(self.behind.get(b"other:k"))
        self.misses("open_auth_fail", "another namespace's")
        master = self.keys.keys()["primary"]
        self.put(envelope.seal(master, b"other:", self.key, b"x", flags=7))
        self.misses("open_auth_fail", "sealed for another namespace")
        self.put(envelope.seal(b"m" * 32, SPACE, self.key, b"x", flags=7))
        self.misses("open_unknown_key", "sealed under another key")

    def test_what_is_no_envelope_is_a_miss(self):
        self.front.set(self.key, b"mine and longer than nothing", flags=7)
        good = self.behind.get(self.place)
        for size in range(1, len(good)):
            self.put(good[:size])
            self.assertEqual(self.front.command(b"mg %s v\r\n" % self.key), b"EN\r\n", f"{size} bytes")
        self.put(good[:-1])
        self.misses("open_auth_fail", "cut short")
        self.put(good[:55])
        self.misses("open_malformed", "shorter than an envelope")
        self.put(good + b"\0")
        self.misses("open_auth_fail", "extended")
        self.put(b"plain text that was planted, longer than an envelope's head and tag")
        self.misses("open_plaintext", "plaintext")
        self.put(b"1")
        self.misses("open_plaintext", "a number")
        self.put(good[:2] + b"\x02" + good[3:])
        self.misses("open_malformed", "another version")
        control = envelope.seal(self.keys.keys()["primary"], SPACE, self.key, b"x", flags=7, bits=envelope.CONTROL)
        self.put(control)
        self.misses("open_malformed", "a control item")
        self.put(envelope.seal(self.keys.keys()["primary"], SPACE, self.key, b"no frame", flags=7,
                               bits=envelope.ZSTD))
        self.misses("open_malformed", "bits that say zstd")
        self.put(b"")
        for read in self.READS:
            self.assertRegex(self.front.command(read % self.key), MISS, f"empty: {read!r}")

    def test_an_older_value_replayed_after_its_end_is_a_miss(self):
        now = int(time.time())
        master = self.keys.keys()["primary"]
        self.put(envelope.seal(master, SPACE, self.key, b"old", flags=7, exp=now - 1, iat=now - 100))
        self.misses("open_expired", "replayed")
        self.put(envelope.seal(master, SPACE, self.key, b"lives", flags=7, exp=now + 1000, iat=now))
        self.assertEqual(self.front.get(self.key), b"lives")

    def test_writes_over_what_does_not_open(self):
        self.put(b"planted")
        self.ask(self.front, b"append %s 0 0 1\r\nx\r\nincr %s 1\r\n" % (self.key, self.key),
                 b"NOT_STORED\r\nNOT_FOUND\r\n")
        self.assertEqual(self.behind.get(self.place), b"planted")
        self.ask(self.front, b"ma %s N0 J5 v\r\nma %s v\r\n" % (self.key, self.key), b"VA 1\r\n5\r\nVA 1\r\n6\r\n")
        self.put(b"planted")
        self.front.set(self.key, b"new")
        self.assertEqual(self.front.get(self.key), b"new")


class Migration(SealedCase):
    def migrating(self, node, until):
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
        return self.sealed([node], rules=f'seal = "migrate"\nseal_until = "{text}"\n')

    def test_old_values_are_read_until_the_deadline(self):
        node = self.memcached()
        behind = self.wire(node)
        until = int(time.time()) + 3 + int(3 * SLOW)
        for name in (b"a", b"b", b"c", b"empty"):
            behind.set(SPACE + name, b"" if name == b"empty" else b"old " + name, flags=4)
        behind.set(SPACE + b"n", b"41")
        wire = self.wire(self.migrating(node, until))
        self.ask(wire, b"get %sa %sempty\r\n" % (SPACE, SPACE),
                 b"VALUE sess:a 4 5\r\nold a\r\nVALUE sess:empty 4 0\r\n\r\nEND\r\n")
        self.ask(wire, b"mg sess:b s f v\r\nmg sess:empty s v\r\n", b"VA 5 s5 f4\r\nold b\r\nVA 0 s0\r\n\r\n")
        self.ask(wire, b"append sess:a 0 0 1\r\n+\r\nincr sess:n 1\r\n", b"STORED\r\n42\r\n")
        self.assertEqual(self.tallies(wire)["read_unsealed"], 6)
        self.assertEqual(wire.get(SPACE + b"a"), b"old a+")
        self.assertEqual(wire.get(SPACE + b"n"), b"42")
        for name in (b"a", b"n"):  # What was changed is sealed, as is what is new.
            self.assertTrue(behind.get(SPACE + name).startswith(b"\xf5\xc7\x01"))
        wire.set(SPACE + b"b", b"new b")
        self.assertNotIn(b"new b", behind.get(SPACE + b"b"))
        self.assertEqual(self.tallies(wire)["read_unsealed"], 6)
        self.assertEqual(wire.get(SPACE + b"c"), b"old c")
        eventually(lambda: time.time() >= until + 0.1, until + 5 - time.time(), "the deadline")
        self.assertIsNone(wire.get(SPACE + b"c"))
        self.assertIsNone(wire.get(SPACE + b"empty"))
        self.assertEqual([wire.get(SPACE + name) for name in (b"a", b"b", b"n")], [b"old a+", b"new b", b"42"])
        self.assertEqual(self.tallies(wire)["open_plaintext"], 2)


class Compression(SealedCase):
    def samples(self, count):
        dice = random.Random(2)
        return [json.dumps({"active": True, "scope": dice.choice(["openid email profile", "orders:read"]),
                            "client_id": "web-shop", "username": f"user{dice.randrange(10**5)}@example.com",
                            "iss": "https://login.example.com/realms/customers", "jti": dice.randbytes(8).hex(),
                            "aud": ["https://api.example.com/"]}).encode() for _ in range(count)]

    def test_values_get_small_with_a_dictionary_and_come_back_whole(self):
        made = subprocess.run([BINARY, "train-dictionary", "--bytes", "4096", "-"],
                              input=b"\n".join(self.samples(2000)), capture_output=True, check=True)
        with tempfile.NamedTemporaryFile() as file:
            file.write(made.stdout)
            file.flush()
            node = self.memcached()
            rules = f'seal = "require"\nblind_keys = true\ncompress = true\ndictionary = "{file.name}"\n'
            wire, behind = self.wire(self.sealed([node], rules=rules)), self.wire(node)
            dice = random.Random(9)
            values = self.samples(50) + [b"", b"x", dice.randbytes(5000), b"z" * 400_000]
            for number, value in enumerate(values):
                key = SPACE + b"%d" % number
                wire.set(key, value)
                self.assertEqual(wire.get(key), value)
                self.ask(wire, b"mg %s s\r\n" % key, b"HD s%d\r\n" % len(value))
                if envelope and 100 < len(value) < 1000:
                    self.assertLess(len(behind.get(self.blinded(key))), len(value) * 0.7)
            self.ask(wire, b"append %s0 0 0 3\r\n+++\r\n" % SPACE, b"STORED\r\n")
            self.assertEqual(wire.get(SPACE + b"0"), values[0] + b"+++")

    def test_too_large_with_the_envelope_is_the_usual_answer(self):
        node = self.memcached()
        wire = self.wire(self.sealed([node], rules='seal = "require"\n'))
        # The largest that fits: memcached counts a header, the key, CR LF, and here the envelope.
        key = SPACE + b"k"
        size = (1 << 20) - 200
        fits = refused = None
        while fits is None or refused is None:
            reply = wire.command(b"set %s 0 0 %d\r\n%s\r\n" % (key, size, b"v" * size))
            if reply == b"STORED\r\n":
                fits, size = size, size + 1
            else:
                self.assertEqual(reply, b"SERVER_ERROR object too large for cache\r\n")
                refused, size = size, size - 1
        self.assertEqual(refused, fits + 1)
        self.assertGreater(fits, (1 << 20) - 220)
        wire.set(key, b"v" * fits)
        self.assertEqual(hashlib.sha256(wire.get(key)).digest(), hashlib.sha256(b"v" * fits).digest())
        self.ask(wire, b"ms %s %d\r\n%s\r\n" % (key, refused, b"v" * refused),
                 b"SERVER_ERROR object too large for cache\r\n")
        self.assertIsNone(wire.get(key))  # The old one went, as in memcached.


if __name__ == "__main__":
    unittest.main()
