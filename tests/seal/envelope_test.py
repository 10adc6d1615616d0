#!/usr/bin/python3
"""The program's envelopes against the second implementation, both ways: envelope_test.py TOKENRING"""
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import tally  # noqa: E402

try:
    import envelope
except ImportError:
    sys.exit(77)  # Without python3-cryptography: meson's word for skipped.

BINARY = sys.argv.pop(1)
NOW = int(time.time())


def escaped(text):
    return "".join(chr(b) if 33 <= b <= 126 and b != 0x5c else f"\\x{b:02X}" for b in text)


class Envelopes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.keys = cls.write("keys", cls.tool("keygen").stdout)
        with open(cls.keys, "ab") as file:
            file.write(cls.tool("keygen", "--master").stdout)
        with open(cls.keys, encoding="ascii") as file:
            cls.parsed = envelope.read_keys(file.read())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, content):
        path = os.path.join(cls.folder.name, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        return path

    @classmethod
    def tool(cls, *arguments, stdin=b""):
        return subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, timeout=60, check=False)

    def value(self, command, namespace, key, stdin, *more):
        # "--key=" takes a key that begins with a dash; only "--namespace" "" takes an empty one.
        return self.tool(command, "--keys", self.keys, "--namespace", escaped(namespace),
                         f"--key={escaped(key)}", *more, stdin=stdin)

    def cases(self):
        dice = random.Random(11)
        for size in (0, 1, 15, 16, 17, 100, 4096, 70000):
            namespace = dice.choice([b"", b"auth_token:", b"n" * 200])
            key = namespace + dice.randbytes(dice.choice([1, 9, 300, 7000]))
            yield dict(namespace=namespace, key=key, plain=dice.randbytes(size),
                       flags=dice.choice([0, 7, 2**32 - 1]), exp=dice.choice([0, NOW + 900]),
                       generation=dice.choice([None, 0, 2**64 - 1]))

    def test_it_seals_what_the_other_opens(self):
        for case in self.cases():
            more = ["--flags", str(case["flags"]), "--exp", str(case["exp"])]
            if case["generation"] is not None:
                more += ["--generation", str(case["generation"])]
            done = self.value("seal", case["namespace"], case["key"], case["plain"], *more)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            plain, exp, iat, generation = envelope.open_sealed(
                self.parsed["masters"], case["namespace"], case["key"], done.stdout, flags=case["flags"])
            self.assertEqual((plain, exp, generation), (case["plain"], case["exp"], case["generation"]))
            self.assertTrue(NOW <= iat <= NOW + 600)
            self.assertEqual(done.stdout[4:8], envelope.key_id(self.parsed["primary"]))

    def test_it_opens_what_the_other_seals_under_any_master(self):
        for case in self.cases():
            for master in self.parsed["masters"]:
                sealed = envelope.seal(master, case["namespace"], case["key"], case["plain"], flags=case["flags"],
                                       exp=case["exp"], iat=NOW, generation=case["generation"])
                done = self.value("open", case["namespace"], case["key"], sealed, "--flags", str(case["flags"]))
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, case["plain"], b""))

    def test_it_opens_the_format_pages_example(self):
        keys = self.write("example", b"tokenring-keys 1\nprimary AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
                          b"blind ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
                          b"audit QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n")
        nonce = bytes(range(0xa0, 0xac)) + bytes(range(0xb0, 0xbc))
        sealed = envelope.seal(bytes(range(32)), b"sess", b"{u42}:tok", b'{"active":true}', flags=7, exp=0,
                               iat=1790000000, nonce=nonce)
        done = self.tool("open", "--keys", keys, "--namespace", "sess", "--key", "{u42}:tok", "--flags", "7",
                         stdin=sealed)
        self.assertEqual((done.returncode, done.stdout), (0, b'{"active":true}'))

    def test_what_does_not_open_is_one_line_and_no_byte(self):
        master = self.parsed["primary"]
        good = envelope.seal(master, b"s:", b"s:k", b"secret", flags=1)
        flipped = good[:-1] + bytes([good[-1] ^ 1])
        strange = envelope.seal(b"k" * 32, b"s:", b"s:k", b"secret", flags=1)
        old = envelope.seal(master, b"s:", b"s:k", b"secret", flags=1, exp=NOW - 5)
        cases = {"auth_fail": flipped, "unknown_key": strange, "expired": old, "plaintext": b"secret",
                 "malformed": good[:40]}
        for reason, sealed in cases.items():
            with self.subTest(reason):
                done = self.value("open", b"s:", b"s:k", sealed, "--flags", "1")
                self.assertEqual((done.returncode, done.stdout, done.stderr.count(b"\n")), (1, b"", 1))
                self.assertTrue(done.stderr.startswith(f"tokenring: open: {reason}: ".encode()), done.stderr)

    def test_a_dictionary_makes_values_small_and_is_needed_to_open(self):
        dice = random.Random(3)

        def introspection():
            return (f'{{"active":true,"scope":"{dice.choice(["openid email", "orders:read"])}",'
                    f'"client_id":"web-shop","username":"user{dice.randrange(10**5)}@example.com",'
                    f'"exp":{NOW + dice.randrange(900)},"iss":"https://login.example.com/realms/customers",'
                    f'"jti":"{dice.randbytes(8).hex()}","aud":["https://api.example.com/"]}}').encode()
        samples = b"".join(introspection() + b"\n" for _ in range(500))
        made = self.tool("train-dictionary", "--bytes", "4096", "-", stdin=samples)
        self.assertEqual((made.returncode, made.stderr), (0, b""))
        dictionary = ["--dictionary", self.write("dictionary", made.stdout)]
        plain = introspection()
        sealed = self.value("seal", b"s:", b"s:k", plain, *dictionary)
        self.assertLess(len(sealed.stdout) * 1.5, len(plain))
        self.assertEqual(self.value("open", b"s:", b"s:k", sealed.stdout, *dictionary).stdout, plain)
        without = self.value("open", b"s:", b"s:k", sealed.stdout)
        self.assertEqual((without.returncode, without.stdout), (1, b""))
        self.assertEqual(without.stderr, b"tokenring: open: zstd: unknown_dictionary\n")

    def test_a_key_file_that_others_can_read_is_refused(self):
        keys = self.write("open", b"")
        os.chmod(keys, 0o644)
        done = self.tool("open", "--keys", keys, "--namespace", "s:", "--key", "s:k")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(done.stderr, f"tokenring: {keys}: has mode 0644, which lets others in; "
                                      f"chmod 600 closes it\n".encode())


if __name__ == "__main__":
    sys.exit(tally.run_unittest())
