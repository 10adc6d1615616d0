"""Nodes by name, by IPv6 and by unix socket. Names are those of an /etc/hosts of the proxy's own."""
import os
import socket
import subprocess
import tempfile
import unittest

from harness import BINARY, SERVER_ERROR, TIMEOUT, Case, Process, Wire, eventually, free_port

CAN_MOUNT = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def mounted(path, place):
    """A command that starts a process's, for which the file at `place` is this one."""
    return ["unshare", "-m", "sh", "-c", f'mount --bind {path} {place} && exec "$@"', "-"]


class NodeAt(Process):
    """A memcached on another loopback address."""

    def __init__(self, host, port):
        self.host = host
        super().__init__(["memcached", "-l", host, "-p", port, "-U", 0, "-u", "root", "-t", 1], port)
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _listens(self):
        with socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET) as probe:
            return self.child.poll() is None and probe.connect_ex((self.host, self.port)) == 0

    def holds(self, key):
        with Wire((self.host, self.port)) as wire:
            return wire.get(key)


class Nodes(Case):
    def node_at(self, host, port):
        node = NodeAt(host, port)
        self.addCleanup(node.discard)
        return node


@unittest.skipUnless(CAN_MOUNT, "only who may mount can have an /etc/hosts of its own")
class Names(Nodes):
    def setUp(self):
        self.hosts = tempfile.NamedTemporaryFile("w", suffix=".hosts")
        self.addCleanup(self.hosts.close)
        self.port = free_port()

    def name(self, *addresses):
        """What cache.test is from now on."""
        self.hosts.seek(0)
        self.hosts.truncate()
        self.hosts.write("".join(f"{address} cache.test\n" for address in addresses))
        self.hosts.flush()

    @property
    def wrapper(self):
        return mounted(self.hosts.name, "/etc/hosts")

    @staticmethod
    def config(node):
        return f'[pools.main]\nresolve_every = "1s"\nconnect_timeout = "5s"\nnodes = [{node}]\n'

    def proxy_of(self, node):
        # A name that is in no file is asked for elsewhere, where perhaps nobody answers.
        return self.proxy((), config=self.config(node), wrapper=self.wrapper, env={"RES_OPTIONS": "timeout:1 attempts:1"})

    def stores(self, wire, key):
        """Whether the key's node takes it; else the client is told, in time."""
        reply = wire.command(b"set %s 0 0 1\r\nv\r\n" % key)
        if reply == b"STORED\r\n":
            return True
        self.assertRegex(reply, SERVER_ERROR)
        return False

    def test_a_name_that_comes_late(self):
        self.name()
        self.node_at("127.0.0.2", self.port)
        proxy = self.proxy_of(f'"cache.test:{self.port}"')
        proxy.says(f"warn names: cache.test:{self.port} cannot be looked up: ")
        wire = self.wire(proxy)
        self.assertFalse(self.stores(wire, b"k"))
        self.name("127.0.0.2")
        eventually(lambda: self.stores(wire, b"k"), 4 * TIMEOUT, "the name is found")
        self.assertIn(f"info names: cache.test:{self.port} is 127.0.0.2:{self.port}", proxy.output())

    def test_a_name_that_moves_and_one_that_is_lost(self):
        old, new = (self.node_at(host, self.port) for host in ("127.0.0.2", "127.0.0.3"))
        self.name("127.0.0.2")
        proxy = self.proxy_of(f'"cache.test:{self.port}"')
        wire = self.wire(proxy)
        eventually(lambda: self.stores(wire, b"k"), what="connected")
        self.assertEqual(old.holds(b"k"), b"v")
        self.name("127.0.0.3")
        eventually(lambda: self.stores(wire, b"k") and new.holds(b"k") == b"v", 4 * TIMEOUT, "the new place is used")
        self.name()
        proxy.says("its last addresses stay in use")
        self.assertTrue(self.stores(wire, b"l"))
        self.assertEqual(new.holds(b"l"), b"v")

    def test_the_other_address_of_a_name_is_tried(self):
        self.node_at("127.0.0.3", self.port)
        self.name("127.0.0.2", "127.0.0.3")
        proxy = self.proxy_of(f'"cache.test:{self.port}"')
        wire = self.wire(proxy)
        eventually(lambda: self.stores(wire, b"k"), 4 * TIMEOUT, "the other address is tried")
        self.assertIn(f"does not take connections at 127.0.0.2:{self.port}", proxy.output())

    def test_every_address_of_a_name_is_a_node(self):
        nodes = [self.node_at(f"127.0.0.{n}", self.port) for n in (2, 3, 4)]
        self.name("127.0.0.2", "127.0.0.3")
        expanded = f'{{ address = "cache.test:{self.port}", expand = true }}'
        proxy = self.proxy_of(expanded)
        wire = self.wire(proxy)
        keys = [b"k%d" % n for n in range(60)]

        def spread():
            self.assertTrue(all(self.stores(wire, key) for key in keys))
            return [sum(node.holds(key) is not None for key in keys) for node in nodes]

        eventually(lambda: self.stores(wire, b"k0"), what="connected")
        counts = spread()
        self.assertEqual((sum(counts), counts[2]), (60, 0))
        self.assertGreater(min(counts[:2]), 5)
        done = subprocess.run(
            [*self.wrapper, BINARY, "where", "-c", proxy.config_file.name, *(key.decode() for key in keys)],
            capture_output=True, text=True, timeout=4 * TIMEOUT, check=True)
        owners = dict(line.split("\t")[0::3] for line in done.stdout.splitlines())
        for key in keys:
            owner = nodes[0] if nodes[0].holds(key) else nodes[1]
            self.assertEqual(owners[key.decode()], owner.address)

        self.name("127.0.0.4", "127.0.0.3", "127.0.0.2")
        eventually(lambda: spread()[2] > 5, 4 * TIMEOUT, "the third is used")
        self.name("127.0.0.4")
        eventually(lambda: spread()[2] == 60, 4 * TIMEOUT, "the third has all")

    def test_a_reload_waits_for_its_names(self):
        node = self.node_at("127.0.0.2", self.port)
        self.name("127.0.0.2")
        proxy = self.proxy_of(f'"127.0.0.2:{self.port}"')
        wire = self.wire(proxy)
        eventually(lambda: self.stores(wire, b"k"), what="connected")
        proxy.configure(self.config(f'"cache.test:{self.port}"'))
        self.assertEqual(proxy.ask("reload")[0], 0)
        for n in range(50):
            self.assertTrue(self.stores(wire, b"r%d" % n))
        self.assertEqual(node.holds(b"r49"), b"v")


class Families(Nodes):
    def serves(self, address):
        proxy = self.proxy([address])
        wire = self.wire(proxy)
        eventually(lambda: wire.command(b"set k 0 0 1\r\nv\r\n") == b"STORED\r\n", what="connected")
        self.assertEqual(wire.get(b"k"), b"v")

    def test_a_node_by_ipv6(self):
        node = self.node_at("::1", free_port())
        self.serves(node.address)
        self.assertEqual(node.holds(b"k"), b"v")

    def test_a_node_by_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/node"
            child = subprocess.Popen(["memcached", "-s", path, "-u", "root", "-t", "1"])
            try:
                eventually(lambda: os.path.exists(path), what="the node's socket")
                self.serves(f"unix:{path}")
                with Wire(path) as wire:
                    self.assertEqual(wire.get(b"k"), b"v")
            finally:
                child.kill()
                child.wait()

    def test_a_name_of_this_machine(self):
        self.serves(f"localhost:{self.memcached().port}")

    def test_clients_by_ipv6_and_unix_socket(self):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/front"
            proxy = self.proxy((), "--listen", f"[::1]:{port}", f"unix:{path}", "--workers", "3")
            proxy.says("listening on")
            self.wire(proxy).set(b"k", b"v")
            for place in (("::1", port), path) * 4:
                with Wire(place) as wire:
                    self.assertEqual(wire.get(b"k"), b"v")


if __name__ == "__main__":
    unittest.main()
