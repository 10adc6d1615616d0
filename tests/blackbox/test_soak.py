"""A long run: nodes die, freeze and are slow, the configuration changes and the process is replaced.

TOKENRING_SOAK_SECONDS says how long (20). The first half has hand-overs; in the second one process
serves on, and must be as it was when all is over. TOKENRING_SOAK_SEED sets the order of events.
"""
import importlib.util
import os
import random
import re
import signal
import time
import unittest

from harness import SHORT, SLOW, TIMEOUT, Case, eventually
from relay import SlowRelay
from soakers import MetaSoaker, PylibmcSoaker, PymemcacheSoaker, TextSoaker

SECONDS = float(os.environ.get("TOKENRING_SOAK_SECONDS", "8" if SHORT else "20"))
SEED = int(os.environ.get("TOKENRING_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
WORKERS = 2
EACH = 3  # Clients of a kind.

# What a worker keeps for the next time, at most: 2 MiB of free buffers of each size (BufferPool) that
# values and replies of this test take, 256 B to 128 KiB. All else is slots and tables of kilobytes.
KEPT_KIB = WORKERS * 10 * 2048


class Soak(Case):
    def setUp(self):
        self.chance = random.Random(SEED)
        self.nodes = [self.memcached("-m", "64") for _ in range(3)]
        self.relay = SlowRelay(self.nodes[2])
        self.addCleanup(self.relay.stop)
        self.addresses = [self.nodes[0].address, self.nodes[1].address, self.relay.address]
        self.retired, self.soakers, self.repairs = [], [], []
        self.reloads = self.hand_overs = 0

    # -- The proxy and its configurations.

    def config(self, plain=False):
        chance = self.chance
        nodes = self.addresses if plain else chance.choice([self.addresses, self.addresses, self.addresses[:2]])
        rules = [f'request_timeout = "{int(300 * SLOW)}ms"', f"links_per_node = {1 if plain else chance.choice((1, 2))}"]
        if not plain:
            rules.append(f'on_failure = "{chance.choice(("miss", "error"))}"')
            rules.append(chance.choice(["", 'on_node_down = "failover"', 'on_node_down = "miss"',
                                        'on_node_down = "failover"\nfailover_ttl = 2\non_rejoin = "flush"']))
        coalesce = "true" if plain or chance.random() < 0.5 else "false"
        return "\n".join(['drain_timeout = "2s"', "[pools.main]", f"nodes = {nodes}".replace("'", '"'), *rules,
                          "[[namespaces]]", 'prefix = ""', f"coalesce = {coalesce}",
                          "[[namespaces]]", 'prefix = "cap:"', f"ttl_cap = {chance.choice((5, 30))}",
                          f"coalesce = {coalesce}", ""])

    def start_proxy(self, *options, **more):
        self.server = self.proxy((), "--workers", str(WORKERS), *options, config=self.config(plain=True), **more)
        self.server.wait_for_control()

    def hand_over(self):
        old = self.server
        old.may_end = True
        self.retired.append(old)
        self.start_proxy("--takeover", port=old.port)
        self.server.says("takeover: done")
        self.hand_overs += 1
        self.reloads = 0

    def reload(self, plain=False):
        self.server.configure(self.config(plain))
        self.reloads += 1
        self.server.child.send_signal(signal.SIGHUP)
        eventually(lambda: self.server.status().get("reloads") == str(self.reloads), 2 * TIMEOUT, "reloaded")

    # -- Trouble, and its end.

    def later(self, seconds, repair):
        self.repairs.append((time.monotonic() + seconds, repair))

    def repair(self, everything=False):
        due = [r for r in self.repairs if everything or r[0] <= time.monotonic()]
        self.repairs = [r for r in self.repairs if r not in due]
        for _, repair in due:
            repair()

    def make_trouble(self):
        chance, node = self.chance, self.chance.choice(self.nodes)
        healthy = node.alive() and not self.repairs
        what = chance.randrange(7)
        if what <= 1 and healthy:
            node.kill()
            self.later(chance.uniform(0, 1), node.start)
        elif what == 2 and healthy:
            node.restart()
        elif what == 3 and healthy:
            node.freeze()
            self.later(chance.uniform(0.05, 1.5), node.thaw)
        elif what == 4:
            self.relay.delay = chance.choice((0.0, 0.002, 0.05, 0.4))
        else:
            self.reload()

    def trouble(self, seconds, hand_overs):
        end = time.monotonic() + seconds
        next_hand_over = time.monotonic() + 1
        while time.monotonic() < end:
            self.repair()
            self.make_trouble()
            if hand_overs and time.monotonic() >= next_hand_over:
                self.hand_over()
                next_hand_over = time.monotonic() + max(2, seconds / 5)
            self.nothing_is_wrong()
            time.sleep(self.chance.uniform(0.02, 0.4))
        self.repair(everything=True)
        self.relay.delay = 0.0

    # -- Clients.

    def start_clients(self):
        kinds = [TextSoaker, MetaSoaker]
        for module, kind in (("pymemcache", PymemcacheSoaker), ("pylibmc", PylibmcSoaker)):
            if importlib.util.find_spec(module):
                kinds.append(kind)
        self.soakers = [kind(self.server.port, self.chance.random()) for kind in kinds for _ in range(EACH)]
        for soaker in self.soakers:
            soaker.start()

    def stop_clients(self):
        for soaker in self.soakers:
            soaker.ending = True
        for soaker in self.soakers:
            soaker.join(4 * TIMEOUT)
            self.assertFalse(soaker.is_alive(), f"{soaker.name} hangs")
        self.nothing_is_wrong()

    def nothing_is_wrong(self):
        self.assertEqual([wrong for soaker in self.soakers for wrong in soaker.wrong], [], f"seed {SEED}")

    def everybody_is_answered(self):
        before = [soaker.answers for soaker in self.soakers]
        eventually(lambda: all(s.answers > b + 20 for s, b in zip(self.soakers, before)) or
                   any(s.wrong for s in self.soakers), 4 * TIMEOUT, f"all clients go on (seed {SEED})")

    # -- What is left.

    def stats(self, wire, group=b""):
        wire.send(b"stats %s\r\n" % group)
        lines = wire.until(b"END\r\n").decode().splitlines()
        return {name: value for name, value in (line.split(" ", 2)[1:] for line in lines[:-1])}

    def descriptors(self):
        """Once none comes or goes any more."""
        def stay():
            before = len(os.listdir(f"/proc/{self.server.pid}/fd"))
            time.sleep(0.3)
            return before if len(os.listdir(f"/proc/{self.server.pid}/fd")) == before else None
        return eventually(stay, 4 * TIMEOUT, "descriptors stay as they are")

    def nodes_are_quiet(self, wire):
        """Each connected by all links, and owed nothing."""
        stats = self.stats(wire, b"nodes")
        return stats and all(value == good for name, value in stats.items()
                             for part, good in (("state", "up"), ("in_flight", "0"), ("queued_bytes", "0"))
                             if name.endswith(":" + part))

    def at_rest(self):
        """(descriptors, KiB) with the plain configuration and one client, ours."""
        self.reload(plain=True)
        with self.wire(self.server) as wire:
            eventually(lambda: self.nodes_are_quiet(wire), 4 * TIMEOUT, "all nodes are up and owe nothing")
            eventually(lambda: self.stats(wire, b"tokenring")["curr_connections"] == "1", what="clients are gone")
            return self.descriptors(), self.server.rss_kib()

    def counters_agree(self):
        with self.wire(self.server) as wire:
            before = self.stats(wire, b"tokenring")
            for n in range(50):
                wire.set(b"count%d" % n, b"x")
                self.assertEqual(wire.get(b"count%d" % n), b"x")
                wire.command(b"get count%d none%d\r\ndelete count%d\r\n" % (n, n, n))
            after = self.stats(wire, b"tokenring")
        more = {name: int(after[name]) - int(before[name]) for name in after if re.fullmatch(r"\d+", after[name])}
        self.assertEqual({name: more[name] for name in (
            "cmd_set", "cmd_get", "get_hits", "get_misses", "cmd_delete", "requests_failed", "total_connections",
            "node_errors", "node_timeouts", "node_out_of_step")}, {
                "cmd_set": 50, "cmd_get": 150, "get_hits": 100, "get_misses": 50, "cmd_delete": 50,
                "requests_failed": 0, "total_connections": 0, "node_errors": 0, "node_timeouts": 0,
                "node_out_of_step": 0})
        self.assertEqual(after["node_out_of_step"], "0", "no node was ever out of step")

    def test_soak(self):
        self.start_proxy()
        self.start_clients()
        self.trouble(SECONDS / 2, hand_overs=True)
        self.everybody_is_answered()
        closed = [soaker.closed for soaker in self.soakers]
        # A connection ends with its process; a new one may still meet the process that is on its way out.
        self.assertLessEqual(max(closed), 2 * self.hand_overs, f"seed {SEED}")
        for old in self.retired:
            self.assertEqual(old.wait_for_end(), 0)
        self.stop_clients()
        before = self.at_rest()

        self.start_clients()
        self.trouble(SECONDS / 2, hand_overs=False)
        self.everybody_is_answered()
        self.assertEqual([soaker.closed for soaker in self.soakers], [0] * len(self.soakers), f"seed {SEED}")
        self.stop_clients()
        after = self.at_rest()
        self.assertLessEqual(after[0], before[0], "descriptors")
        if SLOW == 1:  # A sanitizer keeps what was given back.
            self.assertLess(after[1], before[1] + KEPT_KIB, "KiB")
        self.counters_agree()
        print(f"soak: seed {SEED}, {self.hand_overs} hand-overs, {self.reloads} reloads,",
              f"{sum(s.answers for s in self.soakers)} answers, {sum(s.failures for s in self.soakers)} failures,",
              f"{before[1]} then {after[1]} KiB, {after[0]} descriptors", flush=True)


if __name__ == "__main__":
    unittest.main()
