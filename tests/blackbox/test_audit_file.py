"""Where the audit log is written to: rotation, files that cannot be opened, and a pipe that nobody reads."""
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest

from audited import AuditCase
from harness import BINARY, eventually, free_port
from scrape import request


class Writing(AuditCase):
    def test_rotation_loses_nothing(self):
        proxy = self.audited([self.memcached()])
        wire, files = self.wire(proxy), []
        for number in range(6):
            for n in range(200):
                wire.send(b"set k%d 0 0 1\r\n1\r\n" % n)
            os.rename(proxy.audit, f"{proxy.audit}.{number}")
            files.append(f"{proxy.audit}.{number}")
            os.kill(proxy.pid, signal.SIGUSR1)
            wire.command(b"set last 0 0 1\r\n1\r\n")
            eventually(lambda: os.path.exists(proxy.audit), what="a new file")
        proxy.may_end = True
        proxy.stop()
        lines = [json.loads(line) for path in [*files, proxy.audit] for line in self.text(path).splitlines()]
        self.assertEqual([e["event.sequence"] for e in lines], list(range(1, len(lines) + 1)))
        self.assertEqual(len([e for e in lines if e["event.action"] == "write"]), 6 * 201)

    def test_a_file_that_cannot_be_opened(self):
        folder, port = self.folder(), free_port()
        link = os.path.join(folder, "link")
        os.symlink(os.path.join(folder, "there"), link)
        for path, problem in ((f"{folder}/no/file", "No such file"), (link, "symbolic link"), (folder, "Is a directory")):
            with self.subTest(path=path):
                config = os.path.join(folder, "tokenring.toml")
                with open(config, "w", encoding="utf-8") as file:
                    file.write(f'listen = "127.0.0.1:{port}"\n[audit]\nfile = "{path}"\n')
                for options in ((), ("--check",)):
                    done = subprocess.run([BINARY, "-c", config, *options], capture_output=True, text=True, timeout=60, check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(problem, done.stderr)
                    self.assertIn(path, done.stderr.splitlines()[-1])
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertFalse(os.path.exists(os.path.join(folder, "there")))
        proxy = self.audited([self.memcached()])
        code, _, errors = self.reload_with(proxy, f"{folder}/no/file")
        self.assertEqual(code, 1)
        self.assertIn("No such file", errors)
        wire = self.wire(proxy)
        wire.set(b"a", b"b")
        self.has(proxy.audit, event_action="write")
        os.rename(proxy.audit, proxy.audit + ".1")
        os.mkdir(proxy.audit)
        os.kill(proxy.pid, signal.SIGUSR1)
        self.assertTrue(proxy.says("stays"))
        wire.set(b"a", b"b")
        self.has(proxy.audit + ".1", 2, event_action="write")

    def test_a_check_makes_no_file(self):
        path = f"{self.folder()}/audit.jsonl"
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(f'[audit]\nfile = "{path}"\n')
            file.flush()
            done = subprocess.run([BINARY, "-c", file.name, "--check"], capture_output=True, text=True, timeout=60, check=False)
            where = subprocess.run([BINARY, "where", "-c", file.name, "--reference", "k"], capture_output=True, text=True,
                                   timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(path))
        # Nobody but the process knows what its references are made with.
        self.assertEqual((where.returncode, where.stdout.split("\t")[6]), (0, "-\n"))
        self.assertIn("there is no key file", where.stderr)

    @staticmethod
    def reload_with(proxy, path):
        proxy.configure(re.sub(r'file = "[^"]*"', f'file = "{path}"', proxy.config, count=1))
        return proxy.ask("reload")

    def test_a_reload_moves_it_and_ends_it(self):
        proxy = self.audited([self.memcached()])
        wire = self.wire(proxy)
        wire.set(b"a", b"b")
        self.has(proxy.audit, event_action="write")
        other = proxy.audit + ".other"
        self.assertEqual(self.reload_with(proxy, other)[0], 0)
        wire.set(b"a", b"b")
        self.has(other, event_action="write")
        self.assertEqual(len(self.events(proxy.audit, event_action="write")), 1)
        self.assertEqual(self.reload_with(proxy, "")[0], 0)
        wire.set(b"a", b"b")
        self.assertEqual(self.reload_with(proxy, proxy.audit)[0], 0)
        wire.set(b"a", b"b")
        self.has(proxy.audit, 2, event_action="write")
        self.assertEqual(len(self.events(other, event_action="write")), 1)

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self):
        path = os.path.join(self.folder(), "pipe")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        port = free_port()
        proxy = self.audited([self.memcached()], audit="queue_max = 100", path=path,
                             more=f'[admin]\nlisten = "127.0.0.1:{port}"\n')
        wire = self.wire(proxy)
        for n in range(2000):
            wire.set(b"k%d" % n, b"v")
        self.assertEqual(wire.get(b"k1999"), b"v")
        self.assertTrue(proxy.says("events dropped so far"))

        def metric(name):
            text = request(port, "/metrics")[2]
            return sum(int(n) for n in re.findall(rb"^%s(?:\{kind=.*\})? (\d+)" % name, text, re.M))

        dropped = metric(b"tokenring_audit_dropped_total")
        self.assertGreater(dropped, 500)
        text, os_read = b"", lambda: os.read(reader, 1 << 20)

        def told():
            nonlocal text
            try:
                text += os_read()
            except BlockingIOError:
                wire.set(b"more", b"v")
            return (text.endswith(b"\n")
                    and sum(json.loads(line).get("tokenring.drops", 0) for line in text.splitlines()) >= dropped)

        eventually(told, what="the drops in the log itself")
        self.assertGreater(metric(b"tokenring_audit_events_total"), 50)

    def test_standard_output(self):
        folder, port = self.folder(), free_port()
        with open(f"{folder}/out", "wb") as out:
            config = f"{folder}/tokenring.toml"
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'listen = "127.0.0.1:{port}"\n[audit]\nfile = "-"\n')
            child = subprocess.Popen([BINARY, "-c", config], stdout=out, stderr=subprocess.DEVNULL)
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            eventually(lambda: self.events(f"{folder}/out", event_action="start"), what="start")
            child.terminate()
            self.assertEqual(child.wait(60), 0)
        self.assertEqual([e["event.action"] for e in self.events(f"{folder}/out")
                          if "process" in e["event.category"]], ["start", "drain", "stop"])


if __name__ == "__main__":
    unittest.main()
