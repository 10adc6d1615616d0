"""The operator's keys: rotation under load, and files that are not as they should be."""
import base64
import os
import resource
import subprocess
import threading
import unittest

from harness import BINARY, TIMEOUT, Wire, eventually, free_port
from sealed import SPACE, KeyFile, SealedCase, config, envelope, keygen


class Rotation(SealedCase):
    def reload(self, proxy):
        code, output, errors = proxy.ask("reload")
        self.assertEqual(code, 0, output + errors)

    @unittest.skipIf(envelope is None, "needs python3-cryptography")
    def test_keys_change_under_load_without_a_miss(self):
        node = self.memcached()
        proxies = [self.sealed([node], "--workers", "2") for _ in range(2)]
        stop, wrong, reads = threading.Event(), [], [0] * 4
        with Wire(proxies[0].port) as wire:
            for number in range(200):
                wire.set(SPACE + b"k%d" % number, b"value %d" % number)

        def client(number):
            with Wire(proxies[number % 2].port) as wire:
                at = 0
                while not stop.is_set():
                    at = (at + 7) % 200
                    key, value = SPACE + b"k%d" % at, b"value %d" % at
                    got = wire.get(key)
                    reads[number] += 1
                    if got != value:
                        wrong.append((key, got))
                    if number < 2:
                        wire.set(key, value)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            old = self.keys.primary()
            for _ in range(3):
                old = self.keys.primary()
                new = self.keys.add_master()
                for proxy in proxies:
                    self.reload(proxy)
                self.keys.promote(new)
                for proxy in proxies:
                    self.reload(proxy)
                # All that the old key sealed is written anew; then it may go.
                with Wire(proxies[0].port) as wire:
                    for number in range(200):
                        wire.set(SPACE + b"k%d" % number, b"value %d" % number)
                self.keys.retire(old)
                for proxy in proxies:
                    self.reload(proxy)
                before = list(reads)
                eventually(lambda: all(r > b + 20 for r, b in zip(reads, before)), what="clients go on")  # noqa: B023
        finally:
            stop.set()
            for thread in threads:
                thread.join(4 * TIMEOUT)
        self.assertEqual(wrong[:3], [])
        with Wire(node.port) as behind:
            sealed = behind.get(self.blinded(SPACE + b"k0"))
            plain = envelope.open_sealed([self.keys.keys()["primary"]], SPACE, SPACE + b"k0", sealed)[0]
            self.assertEqual(plain, b"value 0")

    def test_a_retired_keys_values_are_misses_and_counted(self):
        proxy = self.sealed([self.memcached()])
        wire = self.wire(proxy)
        wire.set(SPACE + b"k", b"old")
        old, new = self.keys.primary(), self.keys.add_master()
        self.keys.promote(new)
        self.reload(proxy)
        self.assertEqual(wire.get(SPACE + b"k"), b"old")
        self.keys.retire(old)
        proxy.wait_for_control()
        proxy.child.send_signal(1)  # SIGHUP
        eventually(lambda: wire.get(SPACE + b"k") is None, what="the reload")
        self.assertGreaterEqual(self.tallies(wire)["open_unknown_key"], 1)
        wire.set(SPACE + b"k", b"new")
        self.assertEqual(wire.get(SPACE + b"k"), b"new")

    @unittest.skipIf(envelope is None, "needs python3-cryptography")
    def test_another_blinding_key_hides_known_tags_anew(self):
        node = self.memcached()
        proxy = self.sealed([node])
        wire, key, names = self.wire(proxy), SPACE + b"{u42}:a", set()
        for _ in range(2):
            self.assertIsNone(wire.get(key))
            wire.set(key, b"value")
            names.add(self.blinded(key))
            with Wire(node.port) as behind:
                self.assertEqual([behind.get(name) is not None for name in names], [True] * len(names))
            blind = dict(KeyFile.parsed(keygen()))["blind"]
            self.keys.lines = [(word, blind if word == "blind" else line) for word, line in self.keys.lines]
            self.keys.write()
            self.reload(proxy)
        self.assertEqual(len({name[:len(SPACE) + 13] for name in names}), 2)

    def test_a_bad_file_keeps_the_old_keys(self):
        proxy = self.sealed([self.memcached()])
        wire = self.wire(proxy)
        wire.set(SPACE + b"k", b"value")
        with open(self.keys.path, encoding="ascii") as file:
            good = file.read()
        primary = self.keys.primary()
        bad = {"empty": "", "no key": "tokenring-keys 1\n", "short": good.replace(primary, primary[:20] + "=="),
               "twice": good + f"master {primary}\n", "other version": good.replace("keys 1", "keys 9")}
        for what, text in bad.items():
            with self.subTest(what):
                self.keys.write(text)
                code, output, errors = proxy.ask("reload")
                self.assertEqual(code, 1)
                self.assertNotIn(primary[:20], output + errors)
                self.assertEqual(wire.get(SPACE + b"k"), b"value")
        self.keys.write(good, 0o644)
        self.assertEqual(proxy.ask("reload")[0], 1)
        os.unlink(self.keys.path)
        self.assertEqual(proxy.ask("reload")[0], 1)
        wire.set(SPACE + b"k", b"value 2")
        self.assertEqual(wire.get(SPACE + b"k"), b"value 2")
        self.keys.write(good)
        self.reload(proxy)
        self.assertEqual(proxy.status()["reloads_failed"], str(len(bad) + 2))


class WhatTheOperatorSees(SealedCase):
    def key_stats(self, wire):
        wire.send(b"stats keys\r\n")
        lines = wire.until(b"END\r\n").decode().splitlines()[:-1]
        return {line.split()[1]: line.split()[2] for line in lines}

    @unittest.skipIf(envelope is None, "needs python3-cryptography")
    def test_stats_keys_tell_which_key_opens_how_much(self):
        proxy = self.sealed([self.memcached()], "--workers", "2")
        wire = self.wire(proxy)
        wire.set(SPACE + b"old", b"x")
        old, new = self.keys.primary(), self.keys.add_master()
        self.keys.promote(new)
        proxy.wait_for_control()
        self.assertEqual(proxy.ask("reload")[0], 0)
        wire.set(SPACE + b"new", b"x")
        for _ in range(3):
            wire.get(SPACE + b"old")
        wire.get(SPACE + b"new")
        ids = [envelope.key_id(base64.b64decode(key)).hex() for key in (old, new)]
        self.assertEqual(self.key_stats(wire), {f"{ids[1]}:role": "primary", f"{ids[1]}:opened": "1",
                                                f"{ids[0]}:role": "master", f"{ids[0]}:opened": "3"})
        listed = subprocess.run([BINARY, "keys", self.keys.path], capture_output=True, text=True, check=True)
        self.assertEqual(listed.stdout, f"{ids[1]} primary\n{ids[0]} master\n")
        self.ask(self.wire(self.proxy()), b"stats keys\r\n", b"END\r\n")

    @unittest.skipIf(envelope is None, "needs python3-cryptography")
    def test_what_did_not_open_is_in_the_log_without_key_and_value(self):
        node = self.memcached()
        proxy = self.sealed([node])
        wire, behind = self.wire(proxy), self.wire(node)
        key = SPACE + b"a-secret-key"
        behind.set(self.blinded(key), b"planted text")
        self.assertIsNone(wire.get(key))
        reference = envelope.audit_reference(self.keys.keys()["audit"], SPACE, key).decode()
        proxy.says(f'warn seal: a value did not open: plaintext (namespace "sess:", key reference {reference}, '
                   f"node {node.address}, worker 0)")
        found = subprocess.run([BINARY, "where", "-c", proxy.config_file.name, "--reference", key.decode(), "other"],
                               capture_output=True, text=True, check=True)
        other = envelope.audit_reference(self.keys.keys()["audit"], b"", b"other").decode()
        self.assertEqual([line.split("\t")[6] for line in found.stdout.splitlines()], [reference, other])
        # A storm of them is thinned out, and what is only over is no event.
        behind.set(self.blinded(key), envelope.seal(self.keys.keys()["primary"], SPACE, key, b"x", exp=5))
        for _ in range(20):
            self.assertIsNone(wire.get(key))
        behind.set(self.blinded(key), b"\xf5\xc7\x01\x01" + b"y" * 60)
        self.assertEqual(wire.command(b"mg %s v\r\n" % key * 200), b"EN\r\n" * 200)
        proxy.says("seal: ")
        log = proxy.output()
        self.assertLess(log.count("did not open"), 40)
        self.assertNotIn("expired", log)
        for secret in ("a-secret-key", "planted", "yyyy"):
            self.assertNotIn(secret, log)
        self.assertEqual(self.tallies(wire)["open_unknown_key"], 200)

    def test_a_process_with_keys_leaves_no_core(self):
        def core_limit(proxy):
            with open(f"/proc/{proxy.pid}/limits", encoding="ascii") as limits:
                return next(line.split()[4:6] for line in limits if line.startswith("Max core file size"))
        self.assertEqual(core_limit(self.sealed(["embedded"])), ["0", "0"])
        # ASan sets a limit of its own, unless told not to.
        env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":disable_coredump=0"}
        self.assertEqual(core_limit(self.proxy(env=env)), core_limit_of_this_process())

    @unittest.skipIf(envelope is None, "needs python3-cryptography")
    def test_where_tells_the_node_and_the_hidden_key(self):
        nodes = [self.memcached() for _ in range(3)]
        proxy = self.sealed(nodes)
        wire = self.wire(proxy)
        keys = [SPACE + name for name in (b"a", b"{g}a", b"{g}b", b"long" + b"k" * 3000)]
        done = subprocess.run([BINARY, "where", "-c", proxy.config_file.name, *[k.decode() for k in keys]],
                              capture_output=True, text=True, check=True)
        for key, line in zip(keys, done.stdout.splitlines()):
            _, prefix, pool, node, seen, life = line.split("\t")
            self.assertEqual((prefix, pool, life), ("sess:", "p", "never"))
            self.assertEqual(seen.encode(), self.blinded(key))
            wire.set(key, b"x")
            holders = [n.address for n in nodes if self.wire(n).get(self.blinded(key)) is not None]
            self.assertEqual(holders, [node])
        self.assertEqual(len({line.split("\t")[3] for line in done.stdout.splitlines()[1:3]}), 1)


def core_limit_of_this_process():
    return ["unlimited" if limit == resource.RLIM_INFINITY else str(limit)
            for limit in resource.getrlimit(resource.RLIMIT_CORE)]


class NoStart(unittest.TestCase):
    def refused(self, keys, path=None, more=""):
        """One line, exit code 1, no start; the line."""
        file = os.path.join(keys.folder.name, "conf.toml")
        if path:
            keys.path = path
        with open(file, "w", encoding="ascii") as out:
            out.write(config(["embedded"], keys, more=more))
        done = subprocess.run([BINARY, "--listen", f"127.0.0.1:{free_port()}", "-c", file, "--workers", "1"],
                              capture_output=True, text=True, timeout=4 * TIMEOUT, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def setUp(self):
        self.keys = KeyFile()
        self.addCleanup(self.keys.folder.cleanup)

    def test_a_file_that_is_not_there(self):
        self.assertIn("/nowhere", self.refused(self.keys, "/nowhere"))

    def test_a_file_that_others_may_read(self):
        for mode in (0o644, 0o640, 0o604, 0o660):
            self.keys.write(mode=mode)
            self.assertIn(self.keys.path, self.refused(self.keys))

    def test_a_link(self):
        link = self.keys.path + ".link"
        os.symlink(self.keys.path, link)
        self.assertIn(link, self.refused(self.keys, link))

    def test_a_short_key(self):
        primary = self.keys.primary()
        with open(self.keys.path, encoding="ascii") as file:
            self.keys.write(file.read().replace(primary, primary[:20] + "=="))
        line = self.refused(self.keys)
        self.assertRegex(line, self.keys.path + r":\d+")
        self.assertNotIn(primary[:20], line)

    def test_a_folder_and_an_empty_file(self):
        self.refused(self.keys, self.keys.folder.name)
        self.keys = KeyFile()
        self.addCleanup(self.keys.folder.cleanup)
        self.keys.write("")
        self.refused(self.keys)


if __name__ == "__main__":
    unittest.main()
