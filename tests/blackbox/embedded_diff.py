#!/usr/bin/env python3
"""Holds the embedded node against a real memcached: the same seeded commands, one at a time, to both.

usage: embedded_diff.py EMBEDDED_SERVER MEMCACHED [--newer] [--seed N] [--count N]

Compares every reply byte for byte, except CAS numbers (compared where the test chose them), the l flag and
one second of TTL. --newer is for a newer memcached: it adds the flags that came after 1.6.18 and leaves out what
newer versions answer differently (malformed lines, ma N with q). The differences that the node wants (see
embedded_node.hpp) are kept out of the stream: ma with T or E, md x without I and T, and keys whose base64 hides
anything but plain characters.
Exit status 0: no difference; 1: differences; 77: there is no memcached 1.6.18.
"""
import argparse
import base64
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

END = b"end-of-replies"  # A key that is never stored: its miss ends the replies to a command.
CHOSEN_CAS = 10**15  # CAS numbers from here on are the test's own.
NO_CAS = CHOSEN_CAS - 1  # A number that no item gets.


class Node:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.sock.makefile("rb")
        self.cas = {}

    def ask(self, command):
        """Sends a command; returns the reply lines, values behind their lines."""
        for key, cas in self.cas.items():
            command = command.replace(b"{%s}" % key, cas).replace(b"{%s-1}" % key, b"%d" % (int(cas) - 1))
        self.sock.sendall(re.sub(rb"\{[^ ]*\}", b"%d" % NO_CAS, command) + b"mg %s k\r\n" % END)
        replies = []
        while True:
            line = self.file.readline()
            if line == b"EN k%s\r\n" % END:
                return replies
            if not line:
                raise EOFError("the node closed the connection")
            if line.startswith(b"VA "):
                line += self.file.read(int(line.split()[1]) + 2)
            replies.append(line)

    def learn(self, key, replies):
        for reply in replies:
            found = re.search(rb" c(\d+)", reply.split(b"\r\n")[0])
            if found and found.group(1) != b"0":
                self.cas[key] = found.group(1)


def same_token(a, b):
    if a[:1] != b[:1]:
        return False
    if a[:1] == b"c" and a[1:].isdigit() and b[1:].isdigit():
        x, y = int(a[1:]), int(b[1:])
        return x == y or (0 < min(x, y) and max(x, y) < CHOSEN_CAS)
    if a[:1] == b"t" and a[1:].isdigit() and b[1:].isdigit():
        wrapped = int(a[1:]) > 2**31  # What memcached shows of an item that has just expired.
        return b == b"t0" if wrapped else abs(int(a[1:]) - int(b[1:])) <= 1
    return a == b or a[:1] == b"l"


def plain_key(line):
    """A k flag in base64 as its plain key: newer items may have lost the mark in memcached."""
    return re.sub(rb" k([A-Za-z0-9+/=]+) b", lambda m: b" k" + base64.b64decode(m.group(1)), line)


def same(a, b):
    if len(a) != len(b):
        return False
    for x, y in zip(a, b):
        (x_line, _, x_value), (y_line, _, y_value) = x.partition(b"\r\n"), y.partition(b"\r\n")
        x_tokens, y_tokens = plain_key(x_line).split(b" "), plain_key(y_line).split(b" ")
        if x_value != y_value or len(x_tokens) != len(y_tokens):
            return False
        if not all(map(same_token, x_tokens, y_tokens)):
            return False
    return True


class Commands:
    PLAIN = [b"a", b"b", b"number", b"number2", b"long" + b"L" * 246, "клюц".encode()]
    # No number reaches 2^63: from there on memcached looks for a sign, and beyond the end of the item.
    VALUES = [b"", b"x", b"0", b"9", b"99", b"1000", b"4611686018427387904", b"12 34", b" 7", b"-1", b"+5",
              b"1\x00", b"\r\nEN\r\n", b"y" * 300, b"z" * 5000, b"5\r\n", b"18446744073709551616", b"abc"]
    NUMBERS = [b"0", b"1", b"5", b"1152921504606846976", b"18446744073709551616", b"-1", b"x", b"", b" 1",
               b"+2", b"-18446744073709551615", b"1\t2", b"007"]
    TIMES = [b"0", b"30", b"100", b"1000", b"-1", b"2592000", b"2592001", b"%d" % (time.time() + 500)]
    BAD_TIMES = [b"", b"x", b"1x", b"4294967296", b"4294967396", b"-4294967296", b"99999999999999999999"]

    def __init__(self, rng, newer):
        self.rng = rng
        self.newer = newer

    def maybe(self, chance, *tokens):
        return [self.rng.choice(tokens)] if self.rng.random() < chance else []

    def time(self):
        return self.rng.choice(self.TIMES if self.newer or self.rng.random() < 0.95 else self.BAD_TIMES)

    def number(self):
        return self.rng.choice(self.NUMBERS[:4] if self.newer or self.rng.random() < 0.9 else self.NUMBERS)

    def compare(self, key):
        return self.maybe(0.2, *[b"C{%s}" % key] * 4, b"C{%s-1}" % key, b"C0", b"C%d" % NO_CAS, b"C%d" % CHOSEN_CAS)

    def new_cas(self):
        return self.maybe(0.15, b"E%d" % (CHOSEN_CAS + self.rng.randrange(9))) if self.newer else []

    def common(self, name):
        opaque = b"O" + b"o" * self.rng.choice([1, 3, 31] if self.newer or name in (b"mg", b"ma") else [1, 31, 32])
        return self.maybe(0.3, b"k") + self.maybe(0.2, opaque) + self.maybe(0.15, b"q")

    def get(self, key):
        flags = [f for f in (b"v", b"c", b"f", b"h", b"l", b"s", b"t", b"u") if self.rng.random() < 0.35]
        for letter in (b"N", b"T"):
            if self.rng.random() < 0.1:
                flags.append(letter + self.time())
        flags += self.maybe(0.1, b"R0", b"R-1", b"R70", b"R700", b"R2000000", *([] if self.newer else [b"R", b"R1x"]))
        if self.newer:
            flags += self.compare(key) + (self.new_cas() if self.rng.random() < 0.3 else [])
        return b"mg", flags, None

    def set(self, key):
        mode = self.maybe(0.5, *[b"M" + m for m in (b"S", b"E", b"A", b"P", b"R")])
        if not self.newer:
            mode = mode or self.maybe(0.05, b"M", b"Mx", b"Mset", b"Mi")
        flags = mode + self.maybe(0.2, b"c") + self.compare(key) + self.maybe(0.1, b"I") + self.new_cas()
        flags += self.maybe(0.2, b"F7", b"F0", b"F4294967295", *([] if self.newer else [b"F4294967296", b"F-1", b"Fx"]))
        flags += [b"T" + self.time()] if self.rng.random() < 0.3 else []
        if self.newer:
            flags += self.maybe(0.2, b"s") + self.maybe(0.2, b"N0", b"N50")
        return b"ms", flags, self.rng.choice(self.VALUES)

    def delete(self, key):
        flags = self.compare(key) + self.maybe(0.4, b"I") + self.maybe(0.3, b"T30", b"T0") + self.new_cas()
        if self.newer and self.rng.random() < 0.3:
            flags = [f for f in flags if f[:1] not in b"TI"] + [b"x", b"T60", b"I"]
        return b"md", flags, None

    def arithmetic(self, key):
        flags = self.compare(key) + [f for f in (b"v", b"c", b"t") if self.rng.random() < 0.4]
        flags += self.maybe(0.4, b"MI", b"MD", b"M+", b"M-", *([] if self.newer else [b"Mi", b"M", b"Mincr"]))
        for letter, chance in ((b"D", 0.4), (b"J", 0.2)):
            if self.rng.random() < chance:
                flags.append(letter + self.number())
        if self.rng.random() < 0.25:
            flags.append(b"N" + self.time())
        return b"ma", flags, None

    def malformed(self, command):
        r = self.rng
        key = r.choice(self.PLAIN)
        return r.choice([
            command.replace(b" ", b"  "), command.replace(b"\r\n", b"\n", 1), command.replace(b"\r\n", b" \r\n", 1),
            command.replace(b"\r\n", b" v v\r\n", 1), command.replace(b"\r\n", b" !\r\n", 1),
            command.replace(b"\r\n", b" \xc3\r\n", 1), command[:200].upper() + b"\r\n", b" " + command,
            command.replace(b"\r\n", b" P/x Lhint\r\n", 1), command.replace(b"\r\n", b" DX JX\r\n", 1),
            command.replace(b"\r\n", b" " + b" ".join(b"%c" % c for c in b"cfhklstuvqIFNTRJD") + b"\r\n", 1),
            command[:r.randrange(2, 5)] + b"\r\n", b"\r\n", b"\n", b"m\r\n", b"mz a\r\n", b"mg\r\n", b"ms a\r\n",
            b"mg " + b"K" * 251 + b"\r\n", b"mn x y\r\n", b"me\r\n", b"me nothing\r\n", b"me %s= b\r\n" % (b"Q" * 8),
            b"mg =A== b k\r\n", b"mg YQ= b\r\n", b"mg Y!Q== b k\r\n", b"mg ==== b T\r\n", b"md YWE b\r\n",
            b"ms %s 3\r\nabcd\r\n" % key, b"ms %s 3\r\nab\r\n\r\n" % key, b"ms %s 2 Z\r\nab\r\n" % key,
            b"ms %s abc\r\n" % key, b"ms %s -1\r\n" % key, b"ms %s 2147483646\r\n" % key,
            b"ms %s 4294967298\r\nab\r\n" % key, b"ms %s +2 c\r\nab\r\n" % key, b"ms %s 2x\r\n" % key,
            b"ms %s %d k\r\n%s\r\n" % (key, 1048576 - 59 - len(key), b"m" * (1048576 - 59 - len(key))),
            b"ms %s %d k\r\n%s\r\n" % (key, 1048577 - 59 - len(key), b"m" * (1048577 - 59 - len(key))),
            b"ms %s 500000 F1 MA\r\n%s\r\n" % (key, b"n" * 500000), b"verbosity\r\n", b"verbosity 0\r\n",
            b"verbosity x\r\n", b"verbosity x noreply\r\n", b"flush_all x\r\n", b"flush_all x noreply\r\n",
            b"flush_all 1 2 3\r\n", b"flush_all noreply 1\r\n", b"stats nonsense\r\n",
        ])

    def next(self):
        r = self.rng
        key = r.choice(self.PLAIN)
        make = r.choices([self.get, self.set, self.delete, self.arithmetic], [8, 6, 2, 4])[0]
        name, flags, value = make(key)
        flags += self.common(name)
        if self.newer and name == b"ma":
            flags = [f for f in flags if f != b"q"]
        r.shuffle(flags)
        shown = key
        if r.random() < 0.15 and len(key) < 180:
            shown = base64.b64encode(key)
            flags.insert(0, b"b")
        words = [name, shown] + ([] if value is None else [b"%d" % len(value)]) + flags
        command = b" ".join(words) + b"\r\n" + (b"" if value is None else value + b"\r\n")
        if not self.newer and len(command) < 1000 and r.random() < 0.06:
            command = self.malformed(command)
        return key, command


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_memcached(path):
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    # With its maintainer thread, whether incr pads a number or replaces the item is a matter of timing.
    flags = ["-U", "0", "-l", "127.0.0.1", "-m", "64", "-o", "no_lru_maintainer"]
    process = subprocess.Popen([path, "-p", str(port), *flags, *user])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    return process, port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("embedded_server")
    parser.add_argument("memcached")
    parser.add_argument("--newer", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20000)
    options = parser.parse_args()
    if not shutil.which(options.memcached):
        sys.exit(77)
    version = subprocess.run([options.memcached, "--version"], capture_output=True, text=True).stdout
    if not options.newer and "1.6.18" not in version:
        print(f"the texts are those of 1.6.18, this is {version.strip()}")
        sys.exit(77)

    memcached, port = start_memcached(options.memcached)
    embedded = subprocess.Popen([options.embedded_server], stdout=subprocess.PIPE)
    try:
        theirs, ours = Node(port), Node(int(embedded.stdout.readline()))
        commands = Commands(random.Random(options.seed), options.newer)
        differences = 0
        for i in range(options.count):
            key, command = commands.next()
            a, b = theirs.ask(command), ours.ask(command)
            theirs.learn(key, a)
            ours.learn(key, b)
            if not same(a, b):
                differences += 1
                print(f"seed {options.seed} command {i}: {command[:200]!r}\n  memcached {str(a)[:300]}\n  embedded  {str(b)[:300]}")
            if differences == 20:
                break
        print(f"seed {options.seed}: {i + 1} commands, {differences} differences")
        sys.exit(1 if differences else 0)
    finally:
        memcached.terminate()
        embedded.terminate()


if __name__ == "__main__":
    main()
