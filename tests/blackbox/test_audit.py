"""The audit log: what it has of every command, and what it never has."""
import base64
import json
import os
import random
import re
import signal
import stat
import subprocess
import threading
import unittest

from audited import AuditCase, found, metrics_of, traces_of
from harness import BINARY, Wire, eventually, free_port
from sealed import SPACE, envelope, usual_commands

IN_ORDER = ("--workers", "1")  # Events of two connections are in the order of answers if one worker has both.
needs_envelope = unittest.skipIf(envelope is None, "needs python3-cryptography")


class Fields(AuditCase):
    def test_requests_by_action_outcome_and_reason(self):
        proxy = self.audited([self.memcached()])
        wire = self.wire(proxy)
        port = wire.socket.getsockname()[1]
        commands = [
            (b"set a 0 0 1\r\n1\r\n", "write", "success", "done"), (b"add a 0 0 1\r\n1\r\n", "write", "failure", "not stored"),
            (b"get a\r\n", "read", "success", "hit"), (b"get b\r\n", "read", "success", "miss"),
            (b"mg a v\r\n", "read", "success", "hit"), (b"mg b v\r\n", "read", "success", "miss"),
            (b"cas a 0 0 1 999999\r\n1\r\n", "write", "failure", "changed meanwhile"),
            (b"incr a 1\r\n", "write", "success", "done"), (b"incr b 1\r\n", "write", "failure", "not found"),
            (b"touch a 100\r\n", "touch", "success", "done"), (b"me a\r\n", "read", "success", "hit"),
            (b"delete a\r\n", "delete", "success", "done"), (b"md a\r\n", "delete", "failure", "not found"),
            (b"delete a noreply\r\n", "delete", "failure", "not found"), (b"flush_all\r\n", "flush", "success", "done"),
        ]
        for command, *_ in commands:
            wire.command(command)
        self.has(proxy.audit, event_action="flush")
        told = [e for e in self.events(proxy.audit) if "tokenring.command" in e]
        self.assertEqual([(e["event.action"], e["event.outcome"], e["event.reason"]) for e in told],
                         [tuple(rest) for _, *rest in commands])
        for (command, *_), event in zip(commands, told):
            self.check(event)
            self.assertEqual(event["tokenring.command"], command.split()[0].decode())
            self.assertEqual((event["source.ip"], event["source.port"]), ("127.0.0.1", port))
            self.assertEqual(event["tokenring.node"], self.nodes_of(proxy)[0])
        self.assertEqual(len({e["tokenring.key.ref"] for e in told[:-1]}), 2)
        self.assertNotIn("tokenring.key.ref", told[-1])

    @staticmethod
    def nodes_of(proxy):
        return re.findall(r"\d+\.\d+\.\d+\.\d+:\d+", re.search(r"nodes = \[(.*)\]", proxy.config)[1])

    def test_the_process_and_its_nodes(self):
        keys, node = self.keys, self.memcached()
        proxy = self.audited([node], 'seal = "require"', keys=keys)
        wire = self.wire(proxy)
        self.assertIsNone(wire.get(SPACE + b"k"))
        keys.promote(keys.add_master())
        self.assertEqual(proxy.ask("reload")[0], 0)
        proxy.configure(proxy.config + "nonsense = 1\n")
        self.assertEqual(proxy.ask("reload")[0], 1)
        node.kill()
        self.has(proxy.audit, event_action="node_down")
        proxy.may_end = True
        proxy.stop()
        process = [e for e in self.events(proxy.audit) if "tokenring.command" not in e]
        for event in process:
            self.check(event)
        actions = [e["event.action"] for e in process]
        self.assertEqual(actions[:2], ["start", "keys_loaded"])
        self.assertEqual(actions[-1], "stop")
        for action in ("node_down", "drain"):
            self.assertIn(action, actions)
        reloads = [(e["event.outcome"], e.get("event.reason", "")) for e in process if e["event.action"] == "reload"]
        self.assertEqual([outcome for outcome, _ in reloads], ["success", "failure"])
        self.assertIn("nonsense", reloads[1][1])
        loaded = [e["tokenring.key.ids"] for e in process if e["event.action"] == "keys_loaded"]
        self.assertEqual([len(ids) for ids in loaded], [1, 2])
        self.assertEqual(loaded[1][1], loaded[0][0])
        self.assertEqual([e["event.sequence"] for e in self.events(proxy.audit)],
                         list(range(1, len(self.events(proxy.audit)) + 1)))
        self.assertEqual(stat.S_IMODE(os.stat(proxy.audit).st_mode) & ~0o640, 0)

    def test_a_reference_is_the_one_that_where_tells(self):
        keys = self.keys
        proxy = self.audited([self.memcached()], 'seal = "require"\nblind_keys = true', keys=keys)
        self.wire(proxy).set(SPACE + b"k1", b"v")
        event = self.has(proxy.audit, event_action="write")[0]
        told = subprocess.run([BINARY, "where", "--reference", "-c", proxy.config_file.name, SPACE.decode() + "k1"],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn(event["tokenring.key.ref"], told)

    def test_shares_of_reads_and_writes(self):
        proxy = self.audited([self.memcached()], gets=0.05, audit="sample_writes = 0")
        wire = self.wire(proxy)
        for n in range(20):
            wire.set(b"k%d" % n, b"v")
            wire.command(b"delete k%d\r\n" % n)
        wire.send(b"get a\r\n" * 2000 + b"flush_all\r\n")
        wire.until(b"OK\r\n")
        self.has(proxy.audit, event_action="flush")
        reads = len(self.events(proxy.audit, event_action="read"))
        self.assertGreater(reads, 40)  # 100 of 2000; it is off by six deviations once in 10^9.
        self.assertLess(reads, 160)
        self.assertEqual(self.events(proxy.audit, event_action="write"), [])
        self.assertEqual(self.events(proxy.audit, event_action="delete"), [])

    def test_off_unless_it_has_a_file(self):
        proxy = self.proxy([self.memcached()])
        os.kill(proxy.pid, signal.SIGUSR1)  # Is nothing's end.
        self.wire(proxy).set(b"a", b"b")


class Anomalies(AuditCase):
    @needs_envelope
    def test_what_does_not_open(self):
        keys, node = self.keys, self.memcached()
        proxy = self.audited([node], 'seal = "require"', keys=keys, gets=0, audit="sample_writes = 0")
        wire, direct = self.wire(proxy), Wire(node.port)
        self.addCleanup(direct.close)
        wire.set(SPACE + b"k", b"value")
        sealed = direct.get(SPACE + b"k")
        for value in (b"plain", sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:10]):
            direct.set(SPACE + b"k", value)
            self.assertIsNone(wire.get(SPACE + b"k"))
        told = self.has(proxy.audit, 3, event_action="open_failed")
        self.assertEqual([e["event.reason"] for e in told], ["plaintext", "auth_fail", "malformed"])
        self.assertEqual({e["tokenring.namespace"] for e in told}, {SPACE.decode()})
        self.assertEqual(len({e["tokenring.key.ref"] for e in told}), 1)

    @needs_envelope
    def test_rules_for_tokens(self):
        keys = self.keys
        rules = 'seal = "require"\nblind_keys = true\n'
        more = "".join(f'[[namespaces]]\nprefix = "{name}"\npool = "p"\n{rules}{rule}\n' for name, rule in (
            ("once:", "one_time = true"), ("jti:", "replay_guard = true"), ("grp:", "revocable = true"),
            ("fill:", 'fill_guard = "5s"')))
        proxy = self.audited([self.memcached()], more=more, keys=keys, gets=0, audit="sample_writes = 0",
                             arguments=IN_ORDER)
        a, b = self.wire(proxy), self.wire(proxy)
        a.command(b"add jti:1 0 60 1\r\n1\r\n")
        self.assertEqual(a.command(b"add jti:1 0 60 1\r\n1\r\n"), b"NOT_STORED\r\n")
        a.set(b"grp:{u1}:t", b"v")
        self.assertEqual(a.command(b"delete grp:{u1}\r\n"), b"DELETED\r\n")
        self.assertIsNone(b.get(b"grp:{u1}:t"))
        self.assertIsNone(b.get(b"fill:k"))
        a.command(b"delete fill:k\r\n")
        b.set(b"fill:k", b"of before")
        told = eventually(lambda: t if len(t := [e for e in self.events(proxy.audit) if "tokenring.command" in e]) >= 4
                          else None, what="four events")
        self.assertEqual([(e["event.action"], e["event.outcome"], e["event.reason"]) for e in told],
                         [("write", "failure", "replay refused"), ("revoke", "success", "done"), ("read", "failure", "revoked"),
                          ("write", "failure", "stale fill dropped")])

    @needs_envelope
    def test_a_flood_of_usual_requests_pushes_no_anomaly_out(self):
        admin, replays = free_port(), 400  # Fewer than there is room for, however long the log's thread stands still.
        more = ('[[namespaces]]\nprefix = "jti:"\npool = "p"\nseal = "require"\nreplay_guard = true\n'
                f'[admin]\nlisten = "127.0.0.1:{admin}"\n')
        proxy = self.audited([self.memcached()], more=more, keys=self.keys, audit="queue_max = 1000")
        done = threading.Event()

        def flood(number):
            with Wire(proxy.port) as wire:
                for _ in range(200):
                    if done.is_set():
                        break
                    wire.send(b"".join(b"set k%d.%d 0 0 1 noreply\r\n1\r\n" % (number, n) for n in range(2000)))
                    wire.command(b"")

        floods = [threading.Thread(target=flood, args=(n,)) for n in range(3)]
        for thread in floods:
            thread.start()
        try:
            wire = self.wire(proxy)
            wire.command(b"add jti:1 0 600 1\r\n1\r\n")
            for _ in range(replays):
                self.assertEqual(wire.command(b"add jti:1 0 600 1\r\n1\r\n"), b"NOT_STORED\r\n")
            eventually(lambda: metrics_of(admin)[("tokenring_audit_dropped_total", "sampled")] > 0, what="a flood")
        finally:
            done.set()
            for thread in floods:
                thread.join()
        drops = self.has(proxy.audit, event_action="audit_dropped")
        self.assertGreater(sum(e["tokenring.drops_sampled"] for e in drops), 0)
        self.assertEqual([e for e in drops if e["tokenring.drops_anomaly"]], [])
        eventually(lambda: self.text(proxy.audit).count(b'"replay refused"') == replays, what="all replays")
        self.assertEqual(metrics_of(admin)[("tokenring_audit_dropped_total", "anomaly")], 0)

    def test_what_nobody_may_do_through_a_proxy(self):
        proxy = self.audited([self.memcached()], gets=0, audit="sample_writes = 0", before="flush_all = false\n")
        wire = self.wire(proxy)
        refused = [(b"stats cachedump 1 10", "stats cachedump"), (b"stats sizes", "stats sizes"),
                   (b"stats detail dump", "stats detail dump"), (b"lru_crawler metadump all", "lru_crawler"),
                   (b"watch fetchers", "watch"), (b"cache_memlimit 64", "cache_memlimit"), (b"cache_memlimit 64 noreply", "cache_memlimit"),
                   (b"slabs reassign 1 2", "slabs"), (b"lru mode flat", "lru"), (b"shutdown", "shutdown"),
                   (b"flush_all", "flush_all"), (b"flush_all noreply", "flush_all")]
        for command, _ in refused:
            wire.command(command + b"\r\n")
        told = eventually(lambda: t if len(t := [e for e in self.events(proxy.audit) if "tokenring.command" in e]) >= len(refused)
                          else None, what="all of them")
        self.assertEqual([e["tokenring.command"] for e in told], [name for _, name in refused])
        for event in told:
            self.check(event)
            self.assertEqual(event["event.outcome"], "failure")
            self.assertEqual(event["source.ip"], "127.0.0.1")
            self.assertEqual(event["event.action"], "flush" if event["tokenring.command"] == "flush_all" else "command")
        self.assertEqual({e["event.reason"] for e in told}, {
            "command not allowed through tokenring", "shutdown not enabled", "flush_all not allowed"})

    @needs_envelope
    def test_an_id_that_a_node_lost(self):
        node = self.memcached()
        proxy = self.audited([node], 'seal = "require"\nreplay_guard = true', keys=self.keys, gets=0, audit="sample_writes = 0")
        wire, direct = self.wire(proxy), Wire(node.port)
        self.addCleanup(direct.close)
        self.assertEqual(wire.command(b"add %sj 0 600 1\r\n1\r\n" % SPACE), b"STORED\r\n")
        self.assertEqual(direct.command(b"delete %sj\r\n" % SPACE), b"DELETED\r\n")
        self.assertEqual(wire.command(b"add %sj 0 600 1\r\n1\r\n" % SPACE), b"STORED\r\n")
        told = self.has(proxy.audit, event_action="write")[0]
        self.assertEqual((told["event.outcome"], told["event.reason"]), ("success", "replay forgotten"))

    def test_failures_of_nodes(self):
        node = self.memcached()
        proxy = self.audited([node])
        wire = self.wire(proxy)
        wire.set(b"a", b"b")
        node.kill()
        eventually(lambda: wire.command(b"set a 0 0 1\r\n1\r\n").startswith(b"SERVER_ERROR"), what="an error")
        failed = self.has(proxy.audit, event_action="write", event_outcome="failure")[0]
        self.assertEqual(failed["event.reason"], "node is down")

    def test_enumeration(self):
        proxy = self.audited([self.memcached()], gets=0)
        steady, scan = self.wire(proxy), self.wire(proxy)
        for _ in range(40):
            for n in range(50):
                steady.send(b"get steady%d\r\n" % n)
        steady.command(b"")
        self.assertEqual(self.events(proxy.audit, event_action="enumeration_suspected"), [])
        for n in range(2000):
            scan.send(b"get guess%d\r\n" % n)
        scan.command(b"")
        event = self.has(proxy.audit, event_action="enumeration_suspected")[0]
        self.check(event)
        self.assertEqual(event["event.kind"], "alert")
        self.assertEqual(event["source.ip"], "127.0.0.1")
        self.assertGreater(event["tokenring.count"], 900)
        self.assertTrue(proxy.says("enumeration suspected"))
        self.assertEqual(len(self.events(proxy.audit, event_action="enumeration_suspected")), 1)


class Who(AuditCase):
    def test_identities_logins_and_refusals(self):
        folder, port = self.folder(), free_port()
        users = os.path.join(folder, "users")
        with open(users, "w", encoding="ascii") as file:
            file.write("app:pa55word-of-app\n")
        os.chmod(users, 0o600)
        path = os.path.join(folder, "audit.jsonl")
        config = (f'listen = {{ address = "127.0.0.1:{port}", identify = true }}\n[auth]\nfile = "{users}"\n'
                  f'[audit]\nfile = "{path}"\nsample_gets = 1\n[pools.p]\nnodes = ["embedded"]\n'
                  '[[identities]]\nname = "app"\nallow = [{ namespaces = ["a:"], rights = ["read"] }]\n'
                  '[[namespaces]]\nprefix = "a:"\n')
        self.proxy((), *IN_ORDER, config=config, port=port)
        wire = Wire(port)
        self.addCleanup(wire.close)
        wire.send(b"set x 0 0 14\r\napp wrong-one-\r\n")
        wire.line()
        wire.close()
        wire = Wire(port)
        self.addCleanup(wire.close)
        wire.send(b"set x 0 0 19\r\napp pa55word-of-app\r\n")
        self.assertEqual(wire.line(), b"STORED\r\n")
        self.assertIsNone(wire.get(b"a:1"))
        self.assertIn(b"denied", wire.command(b"set a:1 0 0 1\r\n1\r\n"))
        told = eventually(lambda: t if len(t := [e for e in self.events(path) if "source.ip" in e]) >= 4 else None,
                          what="four events")
        self.assertEqual([(e["event.action"], e["event.outcome"], e["event.reason"], e.get("user.name")) for e in told],
                         [("login", "failure", "login failed", None), ("login", "success", "logged in", "app"),
                          ("read", "success", "miss", "app"), ("write", "failure", "access denied", "app")])
        for event in told:
            self.check(event)
        self.assertEqual(told[2]["tokenring.key.ref"], told[3]["tokenring.key.ref"])
        for secret in (b"pa55word-of-app", b"wrong-one-"):
            for form in traces_of(secret):
                self.assertNotIn(form, self.text(path))

    def test_who_tries_anothers_keys_where_nobody_asks_who_it_is(self):
        folder, plain, asks = self.folder(), free_port(), free_port()
        path = os.path.join(folder, "audit.jsonl")
        config = (f'listen = ["127.0.0.1:{plain}", {{ address = "127.0.0.1:{asks}", identify = true }}]\n'
                  f'[audit]\nfile = "{path}"\n[pools.p]\nnodes = ["embedded"]\n'
                  '[[identities]]\nname = "own"\nnetworks = ["127.0.0.2"]\nisolate = true\n'
                  'allow = [{ rights = ["read", "write"] }]\n')
        proxy = self.proxy(config=config, port=plain)
        wire = Wire(plain)
        self.addCleanup(wire.close)
        address = "%s:%d" % wire.socket.getsockname()
        self.assertEqual(wire.command(b"get own/k\r\n"), b"END\r\n")
        self.assertIn(b"denied", wire.command(b"set own/k 0 0 1\r\n1\r\n"))
        told = eventually(lambda: t if len(t := [e for e in self.events(path) if e.get("event.reason") == "access denied"]) >= 2
                          else None, what="two refusals")
        self.assertEqual([(e["tokenring.command"], e["source.address"]) for e in told], [("get", address), ("set", address)])
        self.assertTrue(proxy.says(f"access denied (identity -, peer {address}, command get"))


class Secrecy(AuditCase):
    def commands(self, key, value):
        """Every command of both dialects that carries a key or a value, and what is wrong with some."""
        n = len(value)
        put = b"%s %s 5 0 %d\r\n%s\r\n"
        coded = base64.b64encode(key + b"~")
        for word in (b"set", b"add", b"replace", b"append", b"prepend"):
            yield put % (word, key, n, value)
        yield from usual_commands(key, value, coded)
        yield b"mg %s v f s t c k h l O%s\r\nmg %s b k v\r\nmg %s- N30 v\r\n" % (key, value[:20].hex().encode(), coded, key)
        yield b"md %s I T30\r\nmg %s v c\r\nme %s\r\nme %s b\r\n" % (key, key, key, coded)
        yield b"ma %s N60 J13 v t c k\r\nma %s v MD\r\n" % (key + b"#", key + b"#")
        yield b"set %s 0 0 %d noreply\r\n%s\r\nms %s %d q\r\n%s\r\n" % (key, n, value, key, n, value)
        yield b"nonsense %s %s\r\nget\r\nset %s x y z\r\nmg %s %s\r\n" % (key, value, key, key, value)
        yield b"%s\r\nwatch %s\r\nstats %s\r\nverbosity %s\r\n" % (value, key, key, value)
        yield b"set %s 0 0 2000000\r\n%s\r\n" % (key, b"x" * 2000000)
        yield b"set %s 0 0 %d\r\n%sXX" % (key, n, value)
        yield b"\r\n"

    @needs_envelope
    def test_no_line_has_a_key_a_value_or_a_hash_of_one(self):
        keys, node = self.keys, self.memcached()
        proxy = self.audited([node], 'seal = "require"\nblind_keys = true\nrevocable = true\nttl_cap = "10m"', keys=keys)
        dice = random.Random(7)
        wire, direct = self.wire(proxy), Wire(node.port)
        self.addCleanup(direct.close)
        secrets = [line.encode() for _, line in keys.lines] + [base64.b64decode(line) for _, line in keys.lines]
        names = []
        for number in range(6):
            tag = dice.randbytes(12).hex().encode()
            name = b"{%s}tok%d." % (tag, number) + base64.urlsafe_b64encode(dice.randbytes(30))
            value = b'{"sub":"%s","jti":"%s"}' % (dice.randbytes(20).hex().encode(), dice.randbytes(16).hex().encode())
            names.append(name)
            secrets += [name, value, tag, json.loads(value)["sub"].encode(), json.loads(value)["jti"].encode()]
            for space in (b"", SPACE):
                secrets.append(space + name)
                for command in self.commands(space + name, value):
                    wire.command(command)
                wire.set(space + name, value)
                self.assertEqual(wire.get(space + name), value)
            wire.command(b"delete %s{%s}\r\n" % (SPACE, tag))
            self.assertIsNone(wire.get(SPACE + name))
        for name in names:
            direct.set(self.blinded(SPACE + name), b"bad")
            self.assertIsNone(wire.get(SPACE + name))
        for secret in secrets:
            wire.command(b"get %s%s\r\n" % (SPACE, secret) if b"{" in secret and b'"' not in secret else b"")
        wire.command(b"flush_all\r\n")
        self.has(proxy.audit, event_action="flush")
        self.assertEqual(proxy.ask("reload")[0], 0)
        proxy.may_end = True
        proxy.stop()
        events, text = self.events(proxy.audit), self.text(proxy.audit)
        for event in events:
            self.check(event)
        for action in ("read", "write", "touch", "delete", "flush", "revoke", "open_failed", "reload", "keys_loaded", "stop"):
            self.assertTrue(any(e["event.action"] == action for e in events), action)
        self.assertGreater(len(events), 400)
        # What is there must be found where it is looked for: else nothing found says nothing.
        self.assertIn(node.address.encode(), found([node.address.encode()], text))
        for place, bytes_of in (("audit log", text), ("log", proxy.output().encode())):
            self.assertEqual(found(secrets, bytes_of), [], place)


if __name__ == "__main__":
    unittest.main()
