"""An authorization server with an introspection endpoint (RFC 7662), for tests: it counts what it is asked."""
import base64
import collections
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from harness import TIMEOUT

CLIENT, SECRET = "proxy 1", "s3cret:%"


def certificate(folder, name):
    """A certificate for 127.0.0.1 that signs itself, and its key: two paths."""
    paths = [os.path.join(folder, f"{name}.{what}") for what in ("pem", "key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True, timeout=10 * TIMEOUT)
    return paths


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.authority.answer(self, urllib.parse.parse_qs(body))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # A proxy that does not trust it hangs up.


class Authority:
    """`say[token]`: what is said of it: a dict, bytes, a status, or a function that returns one of them. REQUIRES: stop()."""

    def __init__(self, tls=True):
        self.folder = tempfile.TemporaryDirectory()
        self.say = {}
        self.asked = collections.Counter()
        self.connections = set()
        self.requests = []
        self.gate = threading.Event()  # Nobody is answered before it is set.
        self.gate.set()
        self.lock = threading.Lock()
        self.secret = self.file("secret", SECRET + "\n", 0o600)
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.authority = self
        self.ca, key = certificate(self.folder.name, "authority")
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.ca, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}/introspect?v=1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def table(self, more="", ca=None, name="main", secret=None):
        """What the proxy's configuration says of it."""
        return (f'[introspection.{name}]\nurl = "{self.url}"\nclient_id = "{CLIENT}"\n'
                f'client_secret_file = "{secret or self.secret}"\nca = "{ca or self.ca}"\n{more}\n')

    def answer(self, handler, form):
        token = form["token"][0]
        with self.lock:
            self.asked[token] += 1
            self.connections.add(handler.client_address)
            self.requests.append((handler.path, dict(handler.headers), form))
        self.gate.wait(10 * TIMEOUT)
        said = self.say.get(token, {"active": True, "sub": token, "exp": int(time.time()) + 600})
        if callable(said):
            said = said()
        headers, status = {}, 200
        if isinstance(said, tuple):
            said, headers = said
        if isinstance(said, int):
            said, status = b"{}", said
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def credentials():
        pair = f"{urllib.parse.quote(CLIENT, safe='')}:{urllib.parse.quote(SECRET, safe='')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()
