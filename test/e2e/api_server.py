# SPDX-License-Identifier: Apache-2.0
#
# As much of an API server as an agent needs: lists and watches of what a file holds, which the test replaces. It has no
# TLS and asks for no credentials.
import http.server
import json
import signal
import time
import urllib.parse

PERIOD = 0.1  # seconds between two readings of the file while a watch is open
KINDS = {"services": "Service", "pods": "Pod", "nodes": "Node", "endpointslices": "EndpointSlice"}


class ApiServer:
    """Listens when it is made; see Lab.fork. `path`: a list of objects, as JSON."""

    def __init__(self, address, port, path):
        handler = type("Handler", (Handler,), {"path_of_objects": path})
        self.server = http.server.ThreadingHTTPServer((address, port), handler)
        self.server.daemon_threads = True
        self.listeners = (self.server.socket,)

    def close(self):
        self.server.server_close()

    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.server.serve_forever()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_objects = None

    def do_GET(self):
        print(self.path, flush=True)
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        kind = KINDS.get(url.path.rsplit("/", 1)[-1])
        if kind is None:
            return self._send(404, {"kind": "Status", "code": 404})
        if "sendInitialEvents" in query:
            return self._send(422, {"kind": "Status", "code": 422})
        if "watch" in query:
            return self._watch(kind, query)
        self._send(200, {"kind": f"{kind}List", "metadata": {"resourceVersion": version()},
                         "items": list(self._objects(kind, query).values())})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send(201, {"kind": "Event"})

    def log_message(self, *_):
        pass

    def _objects(self, kind, query):
        """Of the selectors, those by name count."""
        fields = query.get("fieldSelector", [""])[0]
        wanted, unwanted = (fields.removeprefix(f"metadata.name{sign}") for sign in ("=", "!="))
        with open(self.path_of_objects, encoding="utf-8") as file:
            found = [each for each in json.load(file) if each["kind"] == kind]
        for each in found:
            each["metadata"] = {"resourceVersion": version(), "uid": each["metadata"]["name"], **each["metadata"]}
            if kind != "Node":
                each["metadata"].setdefault("namespace", "default")
        objects = {each["metadata"]["name"]: each for each in found}
        return {name: each for name, each in objects.items()
                if (wanted == fields or name == wanted) and (unwanted == fields or name != unwanted)}

    def _send(self, code, answer):
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # What changed between the list and the watch is sent, too: all that there is.
    def _watch(self, kind, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        known, last = {}, None
        while True:
            now = self._objects(kind, query)
            for name, each in now.items():
                if name not in known or known[name]["spec"] != each["spec"]:
                    self._event("MODIFIED" if name in known else "ADDED", each)
            for name in known.keys() - now.keys():
                known[name]["metadata"]["resourceVersion"] = version()
                self._event("DELETED", known[name])
            known = now
            if last is None or time.time() - last > 5:
                last = time.time()
                self._event("BOOKMARK", {"kind": kind, "metadata": {"resourceVersion": version()}})
            time.sleep(PERIOD)

    def _event(self, kind, each):
        line = json.dumps({"type": kind, "object": each}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()


def version():
    return str(time.time_ns() // 1000)
