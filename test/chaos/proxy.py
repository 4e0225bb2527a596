# SPDX-License-Identifier: Apache-2.0
#
# Between the agent and the API server: passes all on, except while it has a fault.
#
#   errors  each request gets an error, or half of an answer
#   cut     all connections are cut, once
#   silent  no byte passes
#   old     what is watched is "too old", once; a list from the server's cache is one from before, as that of an API
#           server that lags behind. A list of the newest state (no resourceVersion) is true
import http.client
import http.server
import json
import random
import socket
import ssl
import threading
import time
import urllib.parse

LEFT_OUT = {"connection", "transfer-encoding", "content-length", "keep-alive"}
ERRORS = (500, 503, 429, 504, "half", "none")


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store):
        self.store, self.lock, self.open = store, threading.Lock(), set()
        self.name, self.until = "", 0
        self.lists, self.old, self.refused, self.dice = {}, {}, set(), random.Random(1)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{store.directory}/server.crt", f"{store.directory}/server.key")
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]

    @property
    def fault(self):
        return self.name if time.monotonic() < self.until else ""

    def fail(self, name, seconds):
        self.name, self.until, self.refused = name, time.monotonic() + (0.1 if name == "cut" else seconds), set()
        if name != "silent":
            self.cut()

    def cut(self):
        with self.lock:
            for each in self.open:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def remember(self):
        """The lists that the agent has asked for, as they are now."""
        self.old = {}
        for key, (path, headers) in list(self.lists.items()):
            upstream = self.store.connect()
            upstream.request("GET", path, headers=headers)
            answer = upstream.getresponse()
            self.old[key] = (answer.status, answer.getheaders(), answer.read())
            upstream.close()

    def handle_error(self, *_):
        pass  # connections are cut all the time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = None

    def setup(self):
        self.request.settimeout(900)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        with self.server.lock:
            self.server.open.add(self.request)
        super().setup()

    def finish(self):
        with self.server.lock:
            self.server.open.discard(self.request)
        if self.upstream:
            self.upstream.close()
        super().finish()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._wait_while_silent()
        fault, url = self.server.fault, urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if fault == "errors":
            return self._send_error(self.server.dice.choice(ERRORS))
        key = (url.path, tuple(query.get("fieldSelector", ())), self.headers.get("Accept"))
        if "watch" in query:
            if fault == "old" and key not in self.server.refused:
                self.server.refused.add(key)
                return self._send_error(410)
        elif query.get("resourceVersion", [""])[0] and "limit" not in query:
            self.server.lists[key] = (self.path, dict(self.headers))
            if fault == "old" and key in self.server.old:
                return self._send(*self.server.old[key])
        self._pass_on()

    def do_POST(self):
        self._pass_on()

    do_PUT = do_PATCH = do_DELETE = do_POST

    def _wait_while_silent(self):
        while self.server.fault == "silent":
            time.sleep(0.05)

    def _send_error(self, what):
        if what == "none":
            self.close_connection = True
        elif what == "half":
            self._send(200, [("Content-Type", "application/json")], b'{"kind":"PodList","items":[{"metadata":{"name":',
                       missing=500)
            self.close_connection = True
        else:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": what,
                      "reason": "Expired" if what == 410 else "InternalError", "message": "this is chaos"}
            self._send(what, [("Content-Type", "application/json"), ("Retry-After", "1")], json.dumps(status).encode())

    def _send(self, status, headers, body, missing=0):
        self._send_head(status, headers)
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)

    def _send_head(self, status, headers):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in LEFT_OUT:
                self.send_header(name, value)

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            answer = self._ask(body)
        except (OSError, http.client.HTTPException, KeyError):
            self.close_connection = True  # the API server is down
            return
        try:
            if answer.length is not None:
                return self._send(answer.status, answer.getheaders(), answer.read())
            self._send_head(answer.status, answer.getheaders())
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while piece := answer.read1(65536):
                self._wait_while_silent()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def _ask(self, body):
        for again in (True, False):
            if self.upstream is None:
                self.upstream = self.server.store.connect()
                self.upstream.timeout = 900
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in LEFT_OUT}
                self.upstream.request(self.command, self.path, body or None, headers)
                return self.upstream.getresponse()
            except (OSError, http.client.HTTPException):
                self.upstream.close()
                self.upstream = None
                if not again:
                    raise
