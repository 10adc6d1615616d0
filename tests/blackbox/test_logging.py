"""The log as an operator and the journal see it."""
import json
import os
import re
import socket
import subprocess
import unittest

from harness import BINARY, SLOW, Case, Wire, eventually, free_port

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) [a-z][a-z ]*: [ -~]+")


class Logging(Case):
    def test_a_line_per_event(self):
        proxy = self.proxy((), config="")
        proxy.wait_for_control()
        proxy.ask("reload")
        proxy.configure("bad")
        proxy.ask("reload")
        self.assertEqual(proxy.stop(), 0)
        proxy.may_end = True
        lines = proxy.output().splitlines()
        for line in lines:
            self.assertRegex(line, LINE)
        for number, part in enumerate(("info tokenring: listening on ", "info reload: ", "error reload: ",
                                       "info tokenring: draining ", "info tokenring: stopped")):
            self.assertIn(part, lines[number])
        self.assertEqual(len(lines), 5)

    def test_why_a_node_is_down(self):
        with socket.socket() as http, socket.socket() as rude:
            for server in (http, rude):
                server.bind(("127.0.0.1", 0))
                server.listen()
            http_port, rude_port, closed_port = http.getsockname()[1], rude.getsockname()[1], free_port()
            nodes = [f"127.0.0.1:{port}" for port in (http_port, rude_port, closed_port)]
            nodes.append("no.such.host.invalid:11211")
            # Nobody is to lose patience while this test is at another node.
            proxy = self.proxy((), "--workers", "1", env={"RES_OPTIONS": "timeout:1 attempts:1"},
                               config=f'[pools.main]\nnodes = {json.dumps(nodes)}\nconnect_timeout = "60s"\n')
            with http.accept()[0] as peer:
                self.assertEqual(peer.recv(100), b"version\r\n")
                peer.sendall(b"HTTP/1.1 400 \x01Bad\r\nConnection: close\r\n\r\n" + b"x" * 1000)
                proxy.says(f'warn node down: 127.0.0.1:{http_port} (worker 0): did not answer version: '
                           '"HTTP/1.1 400 ?Bad"\n')
            rude.accept()[0].close()
            proxy.says(f"warn node down: 127.0.0.1:{rude_port} (worker 0): ")
            self.assertRegex(proxy.output(), rf"{rude_port} \(worker 0\): (it closed the connection|Connection reset)")
            proxy.says(f"warn node down: 127.0.0.1:{closed_port} (worker 0): connect: Connection refused\n")
            proxy.says("warn node down: no.such.host.invalid:11211 (worker 0): its name cannot be looked up: ")

    def test_the_level_can_be_changed_by_a_reload(self):
        proxy = self.proxy((), config='log_level = "error"\n')
        proxy.wait_for_control()
        self.assertEqual(proxy.output(), "")
        proxy.configure('log_level = "info"\n')
        self.assertEqual(proxy.ask("reload")[0], 0)
        self.assertIn("info reload: ", proxy.output())

    def test_a_storm_is_thinned_out(self):
        proxy = self.proxy((), config="")
        proxy.wait_for_control()
        for _ in range(100):
            with Wire(f"\0tokenring/{proxy.address}") as asker:
                asker.send(b"reload\n")
                self.assertTrue(asker.until(b"\n").startswith(b"ok: "))
        told = r"reload: (\d+) more lines were dropped"
        eventually(lambda: sum(map(int, re.findall(told, proxy.output())))
                   + proxy.output().count("info reload: listen") == 100, what="every event is told or counted")
        self.assertLess(proxy.output().count("info reload: listen"), 100)

    def test_connections_that_are_refused_are_told_of(self):
        proxy = self.proxy((), "--workers", "1", config="[limits]\nclients_max = 1\n")
        proxy.wait_for_control()
        eventually(lambda: proxy.status().get("connections") == "0", what="who looked whether it listens has left")
        first = self.wire(proxy)
        self.assertEqual(first.command(b""), b"")
        for _ in range(50):
            self.assertEqual(self.wire(proxy).line(), b"ERROR Too many open connections\r\n")
        told = r"warn clients: (\d+) refused, for limits\.clients_max is reached \(worker 0\)\n"
        eventually(lambda: sum(map(int, re.findall(told, proxy.output()))) == 50, what="each is told of")
        self.assertEqual(first.command(b""), b"")

    @unittest.skipIf(SLOW > 1, "sanitizers need descriptors for their own checks")
    def test_connections_that_cannot_be_taken_are_told_of(self):
        proxy = self.proxy((), "--workers", "1", wrapper=("sh", "-c", 'ulimit -n 48 && exec "$0" "$@"'))
        wires = [self.wire(proxy) for _ in range(60)]
        proxy.says("warn accept: cannot take new connections: Too many open files (worker 0)")
        for wire in wires[:40]:
            wire.close()
        for wire in wires[40:]:
            self.assertEqual(wire.command(b""), b"")

    def test_the_journal_gets_priorities_and_no_time(self):
        for names_it in (True, False):
            read_end, write_end = os.pipe()
            status = os.fstat(write_end)
            stream = f"{status.st_dev}:{status.st_ino}" if names_it else "1:2"
            child = subprocess.Popen([BINARY, "--listen", f"127.0.0.1:{free_port()}", "--workers", "1"],
                                     stderr=write_end, env={**os.environ, "JOURNAL_STREAM": stream})
            os.close(write_end)
            with os.fdopen(read_end) as log:
                try:
                    first = log.readline()
                finally:
                    child.terminate()
                    child.wait()
                self.assertRegex(first, r"^<6>tokenring: listening on " if names_it else LINE)

    def test_a_reader_that_does_not_read_holds_nobody_up(self):
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        try:
            while True:
                os.write(write_end, b"x" * 512)
        except BlockingIOError:
            os.set_blocking(write_end, True)
        port = free_port()
        child = subprocess.Popen([BINARY, "--listen", f"127.0.0.1:{port}", "--workers", "1"], stderr=write_end)
        os.close(write_end)
        try:
            def status():
                return subprocess.run([BINARY, "status", "--listen", f"127.0.0.1:{port}"], capture_output=True,
                                      check=False).returncode == 0
            eventually(status, what="it serves")
            child.terminate()
            self.assertEqual(child.wait(30), 0)
        finally:
            child.kill()
            os.close(read_end)


if __name__ == "__main__":
    unittest.main()
