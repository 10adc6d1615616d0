"""A process that gets no more descriptors serves on, and gets over it."""
import os
import unittest

from authority import Authority
from harness import eventually
from sealed import SPACE, SealedCase, config, envelope


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Descriptors(SealedCase):
    def test_no_descriptor_at_the_first_question(self):
        authority = Authority()
        self.addCleanup(authority.stop)
        rules = 'seal = "require"\nttl_cap = "5m"\nfill = "main"\n'
        text = config([self.memcached()], self.keys, rules=rules, more=authority.table())
        proxy = self.proxy((), config=text, wrapper=("prlimit", "--nofile=64:64"))
        wire = self.wire(proxy)
        self.assertEqual(wire.get(b"a"), None)

        def count():
            return len(os.listdir(f"/proc/{proxy.pid}/fd"))

        others = []
        while count() < 64:
            before = count()
            others.append(self.wire(proxy))
            eventually(lambda: count() > before, what="it is let in")
        self.assertEqual(wire.get(SPACE + b"short"), None)
        for other in others:
            other.close()
        eventually(lambda: wire.get(SPACE + b"tok") is not None, what="the next one is answered")


if __name__ == "__main__":
    unittest.main()
