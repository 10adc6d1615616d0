"""Clients that must not notice anything: each sets and reads keys of its own and checks every byte."""
import random
import socket
import threading
import time

from harness import TIMEOUT, Wire, eventually


# A client that says nothing for a second may be let go by a server that drains. On a busy machine
# these clients may be held up for as long; what they then meet is no error.
PAUSE = 0.8


class Load:
    """Runs in a with block. `wrong` lists what no client may see, `closed` counts connections that the
    server ended between two requests; `answers` and `connections` tell how much was tried."""

    def __init__(self, port, keepers=3, comers=1, requests=3):
        self.port, self.requests = port, requests
        self.wrong, self.answers, self.connections, self.closed, self.ending = [], 0, 0, 0, False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(n, n < keepers), daemon=True)
                        for n in range(keepers + comers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        for thread in self.threads:
            thread.join(4 * TIMEOUT)

    def wait_for(self, answers):
        """Until so many more answers have come."""
        goal = self.answers + answers
        eventually(lambda: self.answers >= goal or self.wrong, 4 * TIMEOUT, "load goes on")

    def _run(self, number, keeps):
        chance, known = random.Random(number), {}
        while not self.ending:
            try:
                self._connection(number, keeps, chance, known)
            except (AssertionError, OSError) as error:
                with self.lock:
                    self.wrong.append(f"client {number}: {error!r}")
                return

    def _connection(self, number, keeps, chance, known):
        asked = time.monotonic()
        wire = Wire(self.port)
        try:
            with self.lock:
                self.connections += 1
            count, wire.asked = 0, asked  # By the server's clock it is quiet from then on, or from later.
            while not self.ending and (keeps or count < self.requests):
                count += 1
                if keeps and self._is_closed(wire):
                    with self.lock:
                        self.closed += 1
                    return
                if not self._request(wire, number, chance, known):
                    return
        finally:
            wire.close()

    @staticmethod
    def _is_closed(wire):
        wire.socket.setblocking(False)
        try:
            return wire.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False

    def _request(self, wire, number, chance, known):
        key = b"load%d:%d" % (number, chance.randrange(20))
        value = known.get(key)
        if chance.random() < 0.4:
            value = chance.randbytes(chance.randrange(1, 400)).replace(b"M", b"m")
            request, good = b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED\r\n"
        else:
            request, good = b"get %s\r\n" % key, b"END\r\n"
            if value is not None:
                good = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)
        asked = time.monotonic()
        try:
            wire.send(request + b"mn\r\n")
            sent = time.monotonic()
            reply = wire.until(b"MN\r\n").removesuffix(b"MN\r\n")
        except ConnectionError:
            sent, reply = time.monotonic(), b""
        with self.lock:
            if not reply and sent - wire.asked > PAUSE:
                self.closed += 1
                return False
            self.answers += 1
            if reply != good:
                self.wrong.append((key, reply[:80], good[:80]))
        wire.asked = asked
        if value is not None:
            known[key] = value
        return True
