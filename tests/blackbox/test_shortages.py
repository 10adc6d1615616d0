"""A process that gets no more threads, memory or descriptors serves on, and gets over it."""
import contextlib
import os
import resource
import unittest

from authority import Authority
from guarded import FAILED, Access, login, passwd
from harness import SLOW, Case, Wire, eventually
from sealed import SPACE, SealedCase, config, envelope

# Threads need far more addresses than all else that happens here, whatever the system's default is.
STACKS = ("prlimit", "--stack=67108864:67108864")


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


def no_threads(proxy):
    return addresses(proxy, 32)


@unittest.skipIf(SLOW > 1, "sanitizers take addresses as they like")
class Threads(Access):
    def test_no_thread_for_a_login(self):
        users = self.file(passwd("slow", "pw1"))
        more = '[[identities]]\nname = "all"\nuser = "slow"\nallow = [{ rights = ["read"] }]\n'
        proxy = self.guarded([], users, more, wrapper=STACKS)
        wire = self.client(proxy)
        with no_threads(proxy):
            wire.send(login(b"slow", b"pw1"))
            self.assertEqual(wire.line(), FAILED)
            proxy.says("error access: logins fail unchecked: no thread: Resource temporarily unavailable")
        self.assertTrue(proxy.alive())

        def is_let_in():
            with Wire(proxy.port) as other:
                other.send(login(b"slow", b"pw1"))
                return other.line() == b"STORED\r\n"

        eventually(is_let_in, what="the failed login is forgiven")

    def test_no_thread_for_a_name(self):
        node = self.memcached()
        proxy = self.proxy((), config=f'[pools.main]\nnodes = ["{node.address}"]\n', wrapper=STACKS)
        wire, name = self.wire(proxy), f"localhost:{node.port}"
        with no_threads(proxy):
            proxy.configure(f'[pools.main]\nresolve_every = "1s"\nnodes = ["{name}"]\n')
            self.assertEqual(proxy.ask("reload")[0], 0)
            proxy.says(f"warn names: {name} cannot be looked up: no thread: Resource temporarily unavailable")
        eventually(lambda: wire.command(b"set a 0 0 1\r\nb\r\n") == b"STORED\r\n", what="the name is found")

    def test_no_thread_for_the_audit_log(self):
        path = self.file("")
        text = '[pools.main]\nnodes = "embedded"\n'
        proxy = self.proxy((), config=text, wrapper=STACKS)
        proxy.configure(text + f'[audit]\nfile = "{path}"\n')
        with no_threads(proxy):
            code, _, errors = proxy.ask("reload")
            self.assertEqual(code, 1)
            self.assertRegex(errors, rf"\Aerror: \S+: audit\.file: {path}: no thread writes it: "
                                     r"Resource temporarily unavailable\n\Z")
            self.assertEqual(self.wire(proxy).get(b"a"), None)
            self.assertEqual(os.path.getsize(path), 0)
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.wire(proxy).set(b"a", b"b")
        eventually(lambda: os.path.getsize(path) > 0, what="it is written")


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


@unittest.skipIf(SLOW > 1, "sanitizers need descriptors for their own checks")
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
