"""A seeded random stream of commands: the same bytes from a plain memcached and from the proxy.

CAS numbers are the nodes' own, so each is replaced by when its key first showed it; a command that
sends one sends each side its own. To repeat: TOKENRING_DIFF_SEED=N, TOKENRING_DIFF_COUNT=N.
"""
import base64
import functools
import os
import random
import re
import time
import unittest

from harness import SHORT, SLOW, Case
from sealed import KeyFile, nodes_line

SEED = int(os.environ.get("TOKENRING_DIFF_SEED", "1"))
COUNT = int(os.environ.get("TOKENRING_DIFF_COUNT", "1500" if SHORT else str(int(12_000 / SLOW))))

KEYS = [b"a", b"b", b"num", b"num2", b"long" + b"g" * 246, b"caf\xc3\xa9", b"{tag}x", b"ctl\x01\x7f"] + \
    [b"k%d" % n for n in range(16)]
BAD_KEYS = [b"o" * 251, b"p" * 400]
VALUES = [b"", b"x", b"0", b"7", b"18446744073709551615", b"00012", b"not a number", b"END\r\n", b"\r\n\0\xff",
          b"v" * 100, (b"w" * 99 + b"\n") * 50, b"STORED\r\nVALUE no 0 1", b" 12", b"12 ", b"-1", b"99999999999999999999"]
# Long values have short lines: a node closes on a long line only where its reads happen to end in one.
TOO_LARGE = (b"L" * 1023 + b"\n") * 1024
EXPTIMES = [b"0", b"0", b"0", b"100", b"2592000", b"2592001", b"-1", b"4000000000", b"x", b"", b"1e3", b"-2147483648"]
NUMBERS = [b"0", b"1", b"2", b"10", b"255", b"4294967295", b"18446744073709551615", b"18446744073709551616", b"-1",
           b"x", b"1x", b"", b"+3", b"007"]
GET_FLAGS = [b"v", b"k", b"f", b"s", b"t", b"c", b"q", b"u", b"b", b"h", b"T100", b"T0", b"T-1", b"N50", b"R30", b"Oop1",
             b"O", b"!", b"Tx", b"N", b"M"]
SET_FLAGS = [b"k", b"c", b"q", b"b", b"I", b"F7", b"F0", b"Fx", b"T100", b"T-1", b"T0", b"MS", b"MA", b"MP", b"ME", b"MR",
             b"Mset", b"MZ", b"Oop2", b"C999999999", b"C@CAS", b"C18446744073709551616", b"T", b"M"]
DELETE_FLAGS = [b"k", b"q", b"b", b"I", b"T30", b"T-1", b"Oop3", b"C999999999", b"C@CAS", b"Cx", b"?"]
MATH_FLAGS = [b"k", b"q", b"b", b"v", b"t", b"c", b"D5", b"D0", b"Dx", b"MI", b"MD", b"M+", b"M-", b"Mincr", b"MQ", b"N60",
              b"J13", b"T100", b"Oop4", b"C999999999", b"C@CAS", b"D18446744073709551615"]
# Its maintenance thread holds items now and then, which changes how incr pads a shortened number.
QUIET_NODE = ("-m", "256", "-o", "no_lru_maintainer,no_lru_crawler")
# Of a number of 2^63 and more, memcached looks for a minus beyond its end, in whatever memory is there.
NOT_A_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value"
SHOWN_CAS = re.compile(rb"^VALUE (\S+) \d+ \d+ (\d+)\r\n", re.M)
TIMES = re.compile(rb" ([tl])(\d+)(?=[ \r])")
NUMBER_KEYS = (b"num", b"num2")
NUMBER_SHOWN = re.compile(rb"((?:^VA|VALUE num2? \d+) )\d+([^\r]*\r\n\d+) *\r\n")


def means_the_same_sealed(key, data):
    """Leaves out what a sealed namespace answers otherwise, by design: a number that became shorter is not
    padded, so numbers have keys of their own; a change reads the item, which h, l and the win of a stale item
    show; the stub that mg N makes is no value to a text get; k is the key as the client wrote it; and keys may
    be long."""
    line = data.split(b"\r\n")[0] + b" "
    word = line.split(b" ")[0]
    if any(len(part) > 250 for part in line.split()):
        return False
    if word in (b"incr", b"decr", b"ma"):
        return key in NUMBER_KEYS
    if word in (b"append", b"prepend") or re.match(rb"ms .* M[AP]", line):
        return key not in NUMBER_KEYS
    if word in (b"md", b"ms") and b" I " in line:
        return False
    if word == b"cas" and b" 1\r" in data:  # Three young nodes may well be at that number.
        return False
    return word != b"mg" or not re.search(rb" [hlNk]\d* ", line)


class Stream:
    """Random exchanges; @CAS stands for a side's own last number of the key."""

    def __init__(self, seed, wanted=lambda key, data: True):
        self.chance, self.wanted = random.Random(seed), wanted

    def pick(self, choices):
        return self.chance.choice(choices)

    def key(self):
        return self.pick(KEYS) if self.chance.random() < 0.985 else self.pick(BAD_KEYS)

    def flags(self, choices, key):
        taken = [self.pick(choices) for _ in range(self.pick([0, 1, 1, 2, 2, 3, 4]))]
        if self.chance.random() < 0.93:  # Mostly without doubles, which are one error.
            taken = list({flag[:1]: flag for flag in taken}.values())
        if b"b" in taken:
            key = base64.b64encode(key) if self.chance.random() < 0.9 else key
        return b" ".join([key] + taken)

    def noreply(self):
        return b" noreply" if self.chance.random() < 0.12 else b""

    def body(self):
        value = self.pick(VALUES) if self.chance.random() < 0.998 else TOO_LARGE
        extra = self.pick([b"", b"", b"", b"", b"", b"", b"", b"", b"", b"zz"]) if self.chance.random() < 0.1 else b""
        return value, value + extra + b"\r\n"

    def command(self):
        """(key whose CAS may stand in the command, bytes)"""
        while True:
            key, data = self.any_command()
            if self.wanted(key, data):
                return key, data

    def any_command(self):
        key, kind = self.key(), self.chance.randrange(100)
        if kind < 18:
            keys = [key] + [self.key() for _ in range(self.pick([0, 0, 0, 1, 2, 9, 30]))]
            if any(k in BAD_KEYS for k in keys):
                keys = [key]
            return key, self.pick([b"get ", b"get ", b"gets "]) + b" ".join(keys) + b"\r\n"
        if kind < 36:
            value, body = self.body()
            word = self.pick([b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend"])
            flags = self.pick([b"0", b"1", b"65535", b"4294967295", b"-1", b"x"]) if kind < 20 else b"5"
            exptime = self.pick(EXPTIMES) if self.chance.random() < 0.3 else b"0"
            return key, b"%s %s %s %s %d%s\r\n%s" % (word, key, flags, exptime, len(value), self.noreply(), body)
        if kind < 42:
            value, body = self.body()
            number = self.pick([b"@CAS", b"@CAS", b"@CAS", b"1", b"x", b"18446744073709551616"])
            return key, b"cas %s 3 0 %d %s%s\r\n%s" % (key, len(value), number, self.noreply(), body)
        if kind < 50:
            word = self.pick([b"incr", b"decr"])
            return key, b"%s %s %s%s\r\n" % (word, key, self.pick(NUMBERS), self.noreply())
        if kind < 54:
            return key, b"delete %s%s%s\r\n" % (key, self.pick([b"", b"", b"", b" 0", b" 5"]), self.noreply())
        if kind < 58:
            return key, b"touch %s %s%s\r\n" % (key, self.pick(EXPTIMES), self.noreply())
        if kind < 62:
            keys = b" ".join([key] + [self.pick(KEYS) for _ in range(self.pick([0, 0, 1, 4]))])
            return key, b"%s %s %s\r\n" % (self.pick([b"gat", b"gats"]), self.pick(EXPTIMES), keys)
        if kind < 76:
            return key, b"mg %s\r\n" % self.flags(GET_FLAGS, key)
        if kind < 86:
            value, body = self.body()
            key_and_flags = self.flags(SET_FLAGS, key).split(b" ", 1)
            key_and_flags.insert(1, b"%d" % len(value))
            return key, b"ms " + b" ".join(key_and_flags) + b"\r\n" + body
        if kind < 91:
            return key, b"md %s\r\n" % self.flags(DELETE_FLAGS, key)
        if kind < 97:
            return key, b"ma %s\r\n" % self.flags(MATH_FLAGS, key)
        return key, self.pick([b"bogus\r\n", b"\r\n", b"get\r\n", b"mg\r\n", b"me none\r\n", b"verbosity\r\n", b"GET a\r\n",
                               b"verbosity 1 noreply\r\n", b"  get a\r\n", b"get  a\r\n", b"touch a\r\n", b"incr a\r\n",
                               b"get a\n", b"set a 0 0\r\n", b"flush_all x\r\n", b"gat\r\n", b"gat 0\r\n", b"mn\r\n"])


class Side:
    """One server, with what each key's CAS numbers were there."""

    def __init__(self, connect, pads_freely=False):
        self.connect, self.wire, self.last, self.names = connect, connect(), {}, {}
        self.pads_freely = pads_freely

    def name(self, key, number):
        names = self.names.setdefault(key, {})
        self.last[key] = number
        return b"#%d" % names.setdefault(number, len(names))

    def talk(self, key, data, cut):
        number = self.last.get(key, b"999999999")
        data = data.replace(b"@CAS", number) + b"mn\r\n"
        try:
            self.wire.send(data[:cut])
            if cut:
                time.sleep(0.0005)
            self.wire.send(data[cut:])
            reply = self.wire.until(b"MN\r\n")
            if data.startswith(b"mn"):
                reply += self.wire.until(b"MN\r\n")
        except ConnectionError:
            reply = b""
        if not reply.endswith(b"MN\r\n"):
            self.wire = self.connect()
            return b"connection closed"
        return self.canonical(key, reply)

    def canonical(self, key, reply):
        reply = SHOWN_CAS.sub(
            lambda m: m[0].replace(b" " + m[2] + b"\r\n", b" " + self.name(m[1], m[2]) + b"\r\n"), reply)
        if re.match(rb"(VA|HD|EN|NF|NS|EX)\b", reply):
            head, end, rest = reply.partition(b"\r\n")
            head = re.sub(rb" c(\d+)(?=$| )", lambda m: b" c" + self.name(key, m[1]), head)
            reply = head + end + rest
        if self.pads_freely:
            reply = NUMBER_SHOWN.sub(rb"\1~\2\r\n", reply)
            if key in NUMBER_KEYS:
                reply = re.sub(rb" s\d+", b" s~", reply)
        return TIMES.sub(lambda m: b" %s~" % m[1], reply)  # The clocks of two servers tick apart.


class Differential(Case):
    def compare(self, server, seed, *wanted):
        stream = Stream(seed, *wanted)
        sides = [Side(functools.partial(self.wire, s), bool(wanted))
                 for s in (self.memcached(*QUIET_NODE), server)]
        strange = 0
        for number in range(COUNT):
            key, data = stream.command()
            cut = stream.chance.randrange(len(data)) if stream.chance.random() < 0.2 else 0
            expected, got = (side.talk(key, data, cut) for side in sides)
            if expected != got and (expected.startswith(NOT_A_NUMBER) or got.startswith(NOT_A_NUMBER)):
                for side in sides:  # Start over with this key.
                    side.talk(key, b"delete %s\r\n" % key, 0)
                strange += 1
                self.assertLess(strange, 10, data[:300])
            elif expected != got:
                self.fail(f"seed {seed}, command {number}: {data[:300]!r}\n"
                          f"memcached: {expected[:400]!r}\ntokenring: {got[:400]!r}")

    def test_two_memcacheds_agree(self):
        """What differs between two plain memcacheds is no difference: the comparison itself is right."""
        self.compare(self.memcached(*QUIET_NODE), SEED)

    def test_embedded_node(self):
        self.compare(self.proxy(), SEED + 1)

    def test_one_node(self):
        self.compare(self.proxy([self.memcached(*QUIET_NODE)]), SEED + 2)

    def test_three_nodes(self):
        self.compare(self.proxy([self.memcached(*QUIET_NODE) for _ in range(3)]), SEED + 3)

    def test_three_nodes_sealed(self):
        keys = KeyFile()
        self.addCleanup(keys.folder.cleanup)
        nodes = [self.memcached(*QUIET_NODE) for _ in range(3)]
        text = (f'[pools.p]\nnodes = [{nodes_line(nodes)}]\n[keys]\nfile = "{keys.path}"\n'
                '[[namespaces]]\nprefix = ""\nseal = "require"\nblind_keys = true\n')
        self.compare(self.proxy((), config=text), SEED + 4, means_the_same_sealed)


if __name__ == "__main__":
    unittest.main()
