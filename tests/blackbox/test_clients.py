"""Applications' own client libraries: an application changes host:port and nothing else."""
import importlib.util
import shutil
import subprocess
import unittest

from harness import ROOT, TIMEOUT, Case, Memcached, Proxy, slow

INSTALL = "is not installed: conf/deps.sh test"


def needs_module(name):
    return unittest.skipUnless(importlib.util.find_spec(name), f"python3-{name} {INSTALL}")


def needs_program(*check, package):
    works = shutil.which(check[0]) and subprocess.run(check, capture_output=True, check=False).returncode == 0
    return unittest.skipUnless(works, f"{package} {INSTALL}")


class Clients(Case):
    """One fleet for the class, since no client leaves the connection in a state."""

    @classmethod
    def setUpClass(cls):
        cls.nodes = [Memcached() for _ in range(3)]
        for node in cls.nodes:
            cls.addClassCleanup(node.discard)
        cls.server = Proxy(cls.nodes)
        cls.addClassCleanup(cls.server.finish)

    def setUp(self):
        self.assertEqual(self.wire(self.server).command(b"flush_all\r\n"), b"OK\r\n")

    def script(self, *argv, stdin):
        done = subprocess.run([*argv, str(self.server.port)], input=stdin, text=True, timeout=4 * TIMEOUT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.stdout.strip().splitlines()[-1:], ["all right"], done.stdout[-3000:])


@needs_module("pymemcache")
class Pymemcache(Clients):
    def client(self, **options):
        from pymemcache.client.base import Client
        client = Client(("127.0.0.1", self.server.port), timeout=TIMEOUT, connect_timeout=TIMEOUT, **options)
        self.addCleanup(client.close)
        return client

    def test_commands_with_replies(self):
        c = self.client(default_noreply=False)
        self.assertTrue(c.set("a", b"1", expire=100, flags=3))
        self.assertEqual(c.get("a"), b"1")
        self.assertIsNone(c.get("none"))
        self.assertFalse(c.add("a", b"2"))
        self.assertTrue(c.replace("a", b"2"))
        self.assertTrue(c.append("a", b"0"))
        self.assertTrue(c.prepend("a", b"1"))
        self.assertEqual((c.incr("a", 5), c.decr("a", 500)), (125, 0))
        self.assertTrue(c.touch("a", 50))
        value, number = c.gets("a")
        self.assertEqual(value.strip(), b"0")
        self.assertIs(c.cas("a", b"x", number), True)
        self.assertIs(c.cas("a", b"y", number), False)
        self.assertIsNone(c.cas("none", b"y", number))
        self.assertTrue(c.delete("a"))
        self.assertFalse(c.delete("a"))
        self.assertIsNone(c.incr("a", 1))

    def test_many_keys(self):
        c = self.client(default_noreply=False)
        values = {f"key{n}": b"v%d" % n for n in range(300)}
        self.assertEqual(c.set_many(values), [])
        self.assertEqual(c.get_many([*values, "none"]), values)
        self.assertEqual(len(c.gets_many(list(values))), 300)
        c.delete_many(list(values))
        self.assertEqual(c.get_many(list(values)), {})

    def test_noreply_is_its_default(self):
        c = self.client()
        for n in range(200):
            c.set(f"n{n}", b"x" * n)
        c.delete("n7")
        c.incr("n8", 1, noreply=True)
        for n in range(200):
            self.assertEqual(c.get(f"n{n}"), None if n == 7 else b"x" * n)

    def test_stats_version_flush(self):
        c = self.client(default_noreply=False)
        c.set("a", b"1")
        self.assertIn(b"cmd_get", c.stats())
        self.assertTrue(c.version())
        self.assertTrue(c.flush_all())
        self.assertIsNone(c.get("a"))

    def test_values_of_every_size(self):
        c = self.client(default_noreply=False)
        for size in (0, 1, 1023, 4096, 65535, 300_000, 1_000_000):
            blob = bytes(i & 0xFF for i in range(257)) * (size // 257 + 1)
            c.set("blob", blob[:size])
            self.assertTrue(c.get("blob") == blob[:size], f"{size} bytes")

    def test_pool_of_many_connections(self):
        from concurrent.futures import ThreadPoolExecutor

        from pymemcache.client.base import PooledClient
        pool = PooledClient(("127.0.0.1", self.server.port), max_pool_size=16, default_noreply=False, timeout=TIMEOUT)
        self.addCleanup(pool.close)

        def work(worker):
            for n in range(60):
                key = f"w{worker}:{n % 7}"
                pool.set(key, f"{key}={n}".encode())
                if pool.get(key) != f"{key}={n}".encode():
                    return key
            return None
        with ThreadPoolExecutor(16) as threads:
            self.assertEqual(set(threads.map(work, range(16))), {None})


@needs_module("pylibmc")
class Pylibmc(Clients):
    def client(self, **behaviors):
        import pylibmc
        return pylibmc.Client([f"127.0.0.1:{self.server.port}"], binary=False, behaviors=behaviors)

    def test_commands(self):
        c = self.client(tcp_nodelay=True, cas=True)
        self.assertTrue(c.set("a", {"json": [1, 2]}, time=60))
        self.assertEqual(c.get("a"), {"json": [1, 2]})
        self.assertFalse(c.add("a", 1))
        self.assertTrue(c.replace("a", "x"))
        self.assertTrue(c.append("a", "y"))
        self.assertTrue(c.prepend("a", "w"))
        self.assertEqual(c.get("a"), "wxy")
        value, number = c.gets("a")
        self.assertEqual(value, "wxy")
        self.assertTrue(c.cas("a", "new", number))
        self.assertFalse(c.cas("a", "newer", number))
        c.set("n", 5)
        self.assertEqual((c.incr("n", 3), c.decr("n", 1)), (8, 7))
        self.assertTrue(c.touch("n", 100))
        self.assertTrue(c.delete("n"))
        self.assertIsNone(c.get("n"))

    def test_many_keys(self):
        c = self.client()
        values = {f"m{n}": "x" * n for n in range(500)}
        self.assertEqual(c.set_multi(values), [])
        self.assertEqual(c.get_multi(list(values)), values)
        self.assertTrue(c.delete_multi(list(values)))
        self.assertEqual(c.get_multi(list(values)), {})

    def test_compressed_value(self):
        c = self.client()
        c.set("z", "abc" * 100_000, min_compress_len=1000)
        self.assertEqual(c.get("z"), "abc" * 100_000)

    def test_noreply(self):
        c = self.client(_noreply=True)
        for n in range(100):
            c.set(f"b{n}", n)
        self.assertEqual([c.get(f"b{n}") for n in range(100)], list(range(100)))


PHP = r"""<?php
$m = new Memcached(); $m->addServer("127.0.0.1", (int)$argv[1]);
function same($what, $got, $want) {
  if ($got !== $want) { echo "$what: "; var_dump($got); echo "expected "; var_dump($want); exit(1); }
}
same("set", $m->set("a", array("x" => 1.5), 100), true);
same("get", $m->get("a"), array("x" => 1.5));
same("miss", $m->get("none"), false);
same("miss code", $m->getResultCode(), Memcached::RES_NOTFOUND);
same("add", $m->add("a", 1), false);
same("add code", $m->getResultCode(), Memcached::RES_NOTSTORED);
same("replace", $m->replace("a", 7), true);
same("increment", $m->increment("a", 3), 10);
same("decrement", $m->decrement("a", 4), 6);
$m->setOption(Memcached::OPT_COMPRESSION, false);
same("string", $m->set("s", "b"), true);
same("append", $m->append("s", "c"), true);
same("prepend", $m->prepend("s", "a"), true);
same("joined", $m->get("s"), "abc");
$e = $m->get("s", null, Memcached::GET_EXTENDED);
same("cas", $m->cas($e["cas"], "s", "new"), true);
same("stale cas", $m->cas($e["cas"], "s", "newer"), false);
same("stale cas code", $m->getResultCode(), Memcached::RES_DATA_EXISTS);
same("touch", $m->touch("s", 1000), true);
$many = array(); for ($i = 0; $i < 300; $i++) $many["k$i"] = str_repeat("v", $i);
same("setMulti", $m->setMulti($many), true);
same("getMulti", $m->getMulti(array_keys($many)), $many);
same("delayed", $m->getDelayed(array("k1", "k2")), true);
same("fetchAll", count($m->fetchAll()), 2);
same("delete", $m->delete("s"), true);
same("delete again", $m->delete("s"), false);
same("big", $m->set("big", str_repeat("x", 2000000)), false);
same("after big", $m->get("k3"), "vvv");
same("flush", $m->flush(), true);
same("flushed", $m->get("k3"), false);
echo "all right\n";
"""

PERL = r"""
use strict; use Cache::Memcached::Fast;
my $m = Cache::Memcached::Fast->new({servers => ["127.0.0.1:$ARGV[0]"], io_timeout => 10});
sub same { my ($what, $got, $want) = @_; $got = "undef" unless defined $got;
  die "$what: $got, expected $want\n" unless "$got" eq "$want"; }
same("set", scalar($m->set("a", "1", 100)), 1);
same("get", scalar($m->get("a")), "1");
same("miss", scalar($m->get("none")), "undef");
same("add", scalar($m->add("a", 2)), "");
same("replace", scalar($m->replace("a", 5)), 1);
same("append", scalar($m->append("a", "0")), 1);
same("prepend", scalar($m->prepend("a", "1")), 1);
same("incr", scalar($m->incr("a", 2)), 152);
same("decr", scalar($m->decr("a", 52)), 100);
my $g = $m->gets("a");
same("cas", scalar($m->cas("a", $g->[0], "x")), 1);
same("stale cas", scalar($m->cas("a", $g->[0], "y")), "");
same("touch", scalar($m->touch("a", 100)), 1);
my %all = map { ("k$_" => "v" x $_) } 1 .. 300;
my $set = $m->set_multi(map { [$_, $all{$_}] } keys %all);
same("set_multi", scalar(grep { $set->{$_} } keys %all), 300);
my $got = $m->get_multi(keys %all);
same("get_multi $_", $got->{$_}, $all{$_}) for keys %all;
$m->set("quiet", "q"); $m->nowait_push;
same("after nowait", scalar($m->get("quiet")), "q");
same("delete", scalar($m->delete("a")), 1);
same("delete again", scalar($m->delete("a")), "");
same("flush", join(",", values %{$m->flush_all}), 1);
same("flushed", scalar($m->get("k3")), "undef");
print "all right\n";
"""


@needs_program("php", "-r", "exit(class_exists('Memcached') ? 0 : 1);", package="php-memcached")
class PhpMemcached(Clients):
    def test_commands(self):
        self.script("php", "--", stdin=PHP)


@needs_program("perl", "-MCache::Memcached::Fast", "-e", "1", package="libcache-memcached-fast-perl")
class PerlCacheMemcachedFast(Clients):
    def test_commands(self):
        self.script("perl", "-", stdin=PERL)


@needs_program("memccapable", "--help", package="libmemcached-tools")
class LibmemcachedTools(Clients):
    @slow
    def test_ascii_capability_suite(self):
        done = subprocess.run(["memccapable", "-a", "-h", "127.0.0.1", "-p", str(self.server.port)], cwd=ROOT,
                              capture_output=True, text=True, timeout=60, check=False)
        failed = [line for line in done.stdout.splitlines() if "[FAIL]" in line or "[fail]" in line]
        self.assertEqual((failed, done.returncode), ([], 0), done.stdout[-2000:] + done.stderr[-1000:])


if __name__ == "__main__":
    unittest.main()
