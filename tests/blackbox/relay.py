"""A TCP relay before a node that can be slow: each piece of bytes waits `delay` seconds, on either way."""
import socket
import threading
import time

PIECE = 1 << 16


class SlowRelay:
    """REQUIRES: stop() is called. `real`: the node behind it, which may go and come back."""

    def __init__(self, real):
        self.real, self.delay, self.ending = real, 0.0, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.ending = True
        _shut(self.listener)

    def _accept(self):
        while not self.ending:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                node = socket.create_connection(("127.0.0.1", self.real.port))
            except OSError:
                _shut(client)
                continue
            for ends in ((client, node), (node, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source, sink):
        try:
            while data := source.recv(PIECE):
                time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            _shut(source)
            _shut(sink)


def _shut(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
