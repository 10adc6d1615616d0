"""Revocations that have to wait: for a worker."""
import os
import time
import unittest

from harness import TIMEOUT, eventually, free_port
from revoking import RULES, RevokeCase
from sealed import SPACE, envelope

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


if __name__ == "__main__":
    unittest.main()
