"""Revocations that have to wait: for a worker, for each other, for a process that ends."""
import os
import select
import threading
import time
import unittest

from harness import SLOW, TIMEOUT, eventually, free_port
from revoking import RULES, RevokeCase
from sealed import SPACE, envelope
from test_endings import asked
from test_shortages import addresses

USER42 = {"namespace": SPACE.decode(), "group": "user42"}


def workers_of(proxy):
    """The names of threads that serve."""
    names = []
    for thread in os.listdir(f"/proc/{proxy.pid}/task"):
        with open(f"/proc/{proxy.pid}/task/{thread}/comm", encoding="ascii") as comm:
            names.append(comm.read().strip())
    return [name for name in names if name.startswith("tr-worker")]


@unittest.skipIf(envelope is None, "needs python3-cryptography")
class Waits(RevokeCase):
    def drained_to_the_second(self):
        """Whether its first worker has ended and the second one serves on: either may have more patient clients."""
        self.port = free_port()
        self.front = self.sealed([self.node], "--workers", "2", rules=RULES, more=f"[admin]\nlisten = {self.port}\n")
        clients = [self.wire(self.front) for _ in range(8)]
        for client in clients:
            client.send(b"set k 0 0 5\r\nhe")
        eventually(lambda: self.front.status().get("connections") == "8", what="all are there")
        self.front.may_end = True
        self.assertEqual(self.front.ask("drain")[0], 0)
        for left in range(7, 0, -1):
            clients[left].close()
            eventually(lambda left=left: self.front.status().get("connections") == str(left), what="it has left")
            time.sleep(0.02)
            if workers_of(self.front) != ["tr-worker-0", "tr-worker-1"]:
                return workers_of(self.front) == ["tr-worker-1"]
        return False

    def test_a_worker_that_has_ended_is_not_asked(self):
        for _ in range(30):  # The kernel decides whose the clients are.
            if self.drained_to_the_second():
                break
            self.front.ask("stop")
        self.assertEqual(self.revoke(USER42), (200, '{"revoked": 1}\n'))
        self.assertEqual(self.tokenring("revoke", "sess:{user42}")[:2], (0, "ok: revoked\n"))

    def start_slow(self):
        """A proxy whose node does not answer, and is waited for."""
        self.port = free_port()
        self.front = self.sealed([self.node], rules=RULES, more=f"[admin]\nlisten = {self.port}\n",
                                 pool='request_timeout = "30s"\n')
        self.client = self.wire(self.front)
        self.fill()
        self.node.freeze()
        self.addCleanup(self.node.thaw)

    def test_who_waits_at_the_end_is_told(self):
        self.start_slow()
        self.front.may_end = True
        waiting = asked(self.front, b"revoke sess:{user42}\n")
        at_port = threading.Thread(target=self.revoke, args=(USER42,))
        at_port.start()
        eventually(lambda: self.front.status().get("connections") == "3", what="both wait")
        self.assertEqual(self.front.ask("stop")[0], 0)
        self.assertIn(b"this process is ending", waiting.until(b"\n"))
        at_port.join()
        self.assertEqual(self.front.wait_for_end(), 0)

    def test_others_do_not_wait_for_it(self):
        self.start_slow()
        waiting = {wire.socket: wire for wire in (asked(self.front, b"revoke sess:{user%d}\n" % n) for n in range(13))}
        [refused], _, _ = select.select(waiting, [], [], TIMEOUT)
        self.assertEqual(waiting.pop(refused).until(b"\n"), b"error: too many revocations are under way\n")
        self.assertEqual(self.front.status()["state"], "serving")
        self.assertEqual(select.select(waiting, [], [], 0)[0], [])
        self.node.thaw()
        for wire in waiting.values():
            self.assertEqual(wire.until(b"\n"), b"ok: revoked\n")

    @unittest.skipIf(SLOW > 1, "sanitizers take addresses as they like")
    def test_without_a_thread_it_is_refused(self):
        self.start()
        key = self.fill()
        with addresses(self.front, 1):  # No room for a stack, and enough for all else.
            code, _, errors = self.tokenring("revoke", "sess:{user42}")
            self.assertEqual(code, 1)
            self.assertIn("error: not revoked: Resource temporarily unavailable", errors)
            self.assertEqual(self.client.get(key), b"v")
        self.assertEqual(self.tokenring("revoke", "sess:{user42}")[:2], (0, "ok: revoked\n"))
        self.assertIsNone(self.client.get(key))


if __name__ == "__main__":
    unittest.main()
