"""Several workers at once: one embedded store between them, many connections, and the end."""
import concurrent.futures
import signal
import threading

from harness import COMPLAINT, SHORT, TIMEOUT, Case, Proxy, Wire

WORKERS = "4"
CLIENTS = 12  # The kernel spreads them over the workers.
ROUNDS = 40 if SHORT else 150


class Threads(Case):
    def everybody(self, work):
        """Runs work(number) for all clients at once; what they return."""
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(work, range(CLIENTS)))

    def hammer(self, proxy):
        """Each client counts a shared number up, and reads back what only it writes."""
        together = threading.Barrier(CLIENTS, timeout=TIMEOUT)
        self.wire(proxy).set(b"total", b"0")

        def work(number):
            wire = Wire(proxy.port)
            together.wait()
            for turn in range(ROUNDS):
                key, value = b"c%d:%d" % (number, turn % 7), b"%d.%d" % (number, turn) * (1 + turn % 50)
                asked = (b"incr total 1\r\nset %s 0 0 %d\r\n%s\r\nget %s other\r\n" % (key, len(value), value, key)
                         + b"set other 0 0 2 noreply\r\n%02d\r\ndelete gone\r\n" % (number % 100))
                lines = wire.command(asked).split(b"\r\n")
                assert lines[0].isdigit() and lines[1] == b"STORED", lines[:2]
                assert lines[2:4] == [b"VALUE %s 0 %d" % (key, len(value)), value], lines[2:4]
                assert lines[-3:] == [b"END", b"NOT_FOUND", b""], lines[-3:]
            wire.close()

        self.everybody(work)
        self.assertEqual(self.wire(proxy).get(b"total"), b"%d" % (CLIENTS * ROUNDS))

    def test_workers_share_the_embedded_store(self):
        self.hammer(self.proxy([], "--workers", WORKERS))

    def test_workers_share_nodes(self):
        self.hammer(self.proxy([self.memcached(), self.memcached()], "--workers", WORKERS))

    def test_stats_while_all_are_busy(self):
        proxy = self.proxy([], "--workers", WORKERS)

        def work(number):
            wire = Wire(proxy.port)
            for turn in range(ROUNDS // 2):
                reply = wire.command(b"stats\r\n" if number % 3 == 0 else b"get a\r\nset a 0 0 1\r\n1\r\n")
                assert reply.endswith(b"END\r\n" if number % 3 == 0 else b"STORED\r\n"), reply
            wire.close()

        self.everybody(work)

    def test_the_end_comes_under_load(self):
        proxy = Proxy([], "--workers", WORKERS)
        self.addCleanup(proxy.discard)
        asked = b"set a 0 0 5\r\nhello\r\nget a\r\n" * 20
        answer = b"STORED\r\nVALUE a 0 5\r\nhello\r\nEND\r\n"
        served = threading.Barrier(CLIENTS + 1, timeout=TIMEOUT)

        def work(_):
            """Until the proxy closes: what was received, all whole or cut only at the end."""
            wire = Wire(proxy.port)
            received = wire.command(asked)
            assert received == answer * 20, received[:200]
            served.wait()
            whole = True
            while whole:
                try:
                    wire.send(asked)
                except OSError:
                    break
                received = wire.take(len(answer) * 20)
                whole = len(received) == len(answer) * 20
                assert (answer * 20).startswith(received), received[:200]
            wire.close()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(work, number) for number in range(CLIENTS)]
            served.wait()
            proxy.child.send_signal(signal.SIGTERM)
            for client in clients:
                client.result()
        self.assertEqual(proxy.child.wait(TIMEOUT), 0)
        self.assertIsNone(COMPLAINT.search(proxy.output()), proxy.output())
