"""A process that gets no more memory or descriptors serves on, and gets over it."""
import contextlib
import os
import resource
import unittest

from authority import Authority
from harness import SLOW, Case, eventually
from sealed import SPACE, SealedCase, config, envelope


@contextlib.contextmanager
def addresses(proxy, more_mib):
    """The process gets so many more and no others, once it has all that it starts with."""
    proxy.wait_for_control()
    limits = resource.prlimit(proxy.pid, resource.RLIMIT_AS)
    now = proxy.memory_kib("VmSize") << 10
    resource.prlimit(proxy.pid, resource.RLIMIT_AS, (now + (more_mib << 20), limits[1]))
    try:
        yield
    finally:
        resource.prlimit(proxy.pid, resource.RLIMIT_AS, limits)


@unittest.skipIf(SLOW > 1, "sanitizers take addresses as they like")
class Memory(Case):
    def test_no_memory_for_a_reload(self):
        node = self.memcached()
        text = '[embedded]\nmemory = "1GiB"\n[pools.main]\nnodes = '
        proxy = self.proxy((), config=text + f'["{node.address}"]\n')
        wire = self.wire(proxy)
        wire.set(b"a", b"b")
        proxy.configure(text + '[{ address = "embedded", name = "a" }, { address = "embedded", name = "b" }]\n')
        with addresses(proxy, 1500):  # Enough for one of both.
            self.assertEqual(proxy.ask("reload"), (1, "", "error: there is not enough memory for it\n"))
            self.assertEqual(wire.get(b"a"), b"b")
            self.assertEqual(proxy.status()["reloads_failed"], "1")
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertEqual(wire.get(b"a"), None)


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
