"""The statistics, as the tools that operators already have read them."""
import os
import re
import shutil
import subprocess
import unittest

from harness import Case, eventually

TOOL = "/usr/share/memcached/scripts/memcached-tool"


def told(wire, group=b""):
    """What `stats` says, by name."""
    wire.send(b"stats %s\r\n" % group if group else b"stats\r\n")
    return dict(re.findall(r"^STAT (\S+) (.*?)\r?$", wire.until(b"END\r\n").decode(), re.M))


class Stats(Case):
    def setUp(self):
        self.nodes, self.server = self.fleet(3)
        self.client = self.wire(self.server)
        for i in range(60):
            self.ask(self.client, b"set k%d 0 0 5\r\nvalue\r\n" % i, b"STORED\r\n")

    def output_of(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def stats(self, group=b""):
        return told(self.client, group)

    @unittest.skipUnless(os.path.exists(TOOL), "memcached-tool is not installed")
    def test_memcached_tool_reads_them(self):
        place = f"127.0.0.1:{self.server.port}"
        stats = self.output_of("perl", TOOL, place, "stats")
        self.assertRegex(stats, r"curr_items\s+60\b")
        self.assertRegex(stats, r"version\s+1\.6\.18-tokenring")
        settings = self.output_of("perl", TOOL, place, "settings")
        self.assertRegex(settings, r"maxbytes\s+%d\b" % (3 * 64 << 20))
        display = self.output_of("perl", TOOL, place, "display")
        self.assertRegex(display, r"(?m)^\s*\d+\s+\d+B\s+\d+s\s+\d+\s+60\b")

    @unittest.skipUnless(shutil.which("memcstat"), "memcstat is not installed")
    def test_memcstat_reads_them(self):
        text = self.output_of("memcstat", f"--servers=127.0.0.1:{self.server.port}")
        self.assertRegex(text, r"curr_items: 60\b")

    def test_a_dead_node_is_left_out_of_the_sum(self):
        whole = int(self.stats()["curr_items"])
        self.assertEqual(whole, 60)
        self.assertEqual(self.stats()["nodes_missing"], "0")
        self.nodes[1].kill()
        self.addCleanup(self.nodes[1].restart)
        rest = eventually(lambda: int(self.stats().get("curr_items", "0")) < whole and self.stats(), what="fewer items")
        self.assertEqual(rest["pid"], str(self.server.pid))
        self.assertEqual(rest["nodes_missing"], "1")
        states = lambda: [v for k, v in self.stats(b"nodes").items() if k.endswith(":state")]
        eventually(lambda: sorted(states()) == ["down", "up", "up"], what="one node of three down")

    def test_touches_are_counted_as_memcached_counts_them(self):
        names = ("cmd_get", "get_hits", "get_misses", "cmd_touch", "touch_hits", "touch_misses")
        node = self.memcached()
        proxy = self.proxy([node])
        wires = self.wire(node), self.wire(proxy)

        def counts(wire, group, prefix):
            wire.send(b"stats%s\r\n" % group)
            found = dict(re.findall(r"STAT (\S+) (\d+)\r\n", wire.until(b"END\r\n").decode()))
            return [int(found[prefix + name]) for name in names]

        places = ((wires[0], b"", ""), (wires[1], b" tokenring", ""), (wires[1], b" namespaces", "-:"))
        wires[1].set(b"o", b"v")
        for request in (b"get o x", b"gat 10 o x", b"gats 10 o", b"touch o 10", b"touch x 10", b"mg o v", b"mg x v",
                        b"mg o T10 v", b"mg o T10"):
            before = [counts(*place) for place in places]
            wires[1].command(request + b"\r\n")
            changes = [[new - old for new, old in zip(counts(*place), known)] for place, known in zip(places, before)]
            self.assertEqual(changes, [changes[0]] * 3, request)
        self.assertEqual(counts(*places[1]), [4, 2, 2, 7, 5, 2])
        wires[1].command(b"mg x T10 v\r\n")  # There a get's miss; here a touch's, as it was asked.
        self.assertEqual(counts(*places[1]), [4, 2, 2, 8, 5, 3])

    def test_reset_reaches_every_node(self):
        self.assertGreaterEqual(int(self.stats()["cmd_set"]), 60)
        self.ask(self.client, b"stats reset\r\n", b"RESET\r\n")
        self.assertEqual(int(self.stats()["cmd_set"]), 0)
        self.assertEqual(self.stats(b"tokenring")["cmd_set"], "0")

    def test_latency_and_namespaces_are_ours(self):
        latency = self.stats(b"latency")
        self.assertEqual(latency["set_total_count"], "60")
        self.assertLessEqual(float(latency["set_own_p50_us"]), float(latency["set_total_p50_us"]))
        self.assertEqual(self.stats(b"namespaces")["-:cmd_set"], "60")


class Counts(Case):
    def test_what_is_no_get_delete_or_failure(self):
        proxy = self.proxy(config='[pools.main]\nnodes = ["embedded"]\n[[namespaces]]\nprefix = "s:"\n'
                                  'ttl_from_token = "strict"\n')
        wire = self.wire(proxy)
        self.ask(wire, b"set s:k 0 0 1\r\nx\r\n", b"CLIENT_ERROR value does not say when it expires\r\n")
        self.ask(wire, b"set s:k 0 0 2000000\r\n" + b"x" * 2_000_000 + b"\r\n",
                 b"SERVER_ERROR object too large for cache\r\n")
        self.ask(wire, b"me s:k\r\n", b"EN\r\n")
        for group, counts in ((b"namespaces", {"s::cmd_set": 1, "s::cmd_get": 0, "s::cmd_delete": 0,
                                               "s::requests_failed": 0}),
                              (b"tokenring", {"cmd_set": 1, "cmd_get": 0, "cmd_delete": 0, "requests_failed": 0})):
            stats = told(wire, group)
            self.assertEqual({name: int(stats[name]) for name in counts}, counts)


if __name__ == "__main__":
    unittest.main()
