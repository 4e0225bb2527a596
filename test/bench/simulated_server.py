# SPDX-License-Identifier: Apache-2.0
"""As much of an API server as a Service proxy sees: lists, watches and streamed lists of Services, Pods, EndpointSlices
and Nodes, of a cluster as large as memory allows, changing as fast as it is told to. It has no TLS, asks for no
credentials, sends JSON only, and pages no list (a real one does not, either, from its watch cache).

It keeps the last events of each kind. A watch from before them is refused (410), as after a compaction."""

import collections
import http.server
import json
import threading
import time
import urllib.parse

KEPT_EVENTS = 20_000
BETWEEN_BOOKMARKS = 60
PATHS = {"/api/v1/services": "Service", "/api/v1/pods": "Pod", "/api/v1/nodes": "Node",
         "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice"}
GROUPS = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
    {"name": "discovery.k8s.io", "versions": [{"groupVersion": "discovery.k8s.io/v1", "version": "v1"}],
     "preferredVersion": {"groupVersion": "discovery.k8s.io/v1", "version": "v1"}}]}


def encode(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Kind:
    def __init__(self, name, api_version):
        self.name, self.api_version = name, api_version
        self.objects = {}  # key: (version, bytes)
        self.events = collections.deque()  # (version, key, line)
        self.dropped = 0  # the newest version that is no longer among the events
        self.news = threading.Condition()

    def bookmark(self, version, ends_list=False):
        annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if ends_list else {}
        return encode({"type": "BOOKMARK", "object": {
            "kind": self.name, "apiVersion": self.api_version,
            "metadata": {"resourceVersion": str(version), **annotations}}}) + b"\n"


class Store:
    """What the API server holds. Objects are bytes with VERSION where their resource version goes."""

    VERSION = b"@version@"

    def __init__(self):
        self.version = 1
        self.lock = threading.Lock()
        self.kinds = {"Service": Kind("Service", "v1"), "Pod": Kind("Pod", "v1"), "Node": Kind("Node", "v1"),
                      "EndpointSlice": Kind("EndpointSlice", "discovery.k8s.io/v1")}

    def put(self, kind_name, key, body):
        self._change(kind_name, key, body, b"MODIFIED" if key in self.kinds[kind_name].objects else b"ADDED")

    def delete(self, kind_name, key):
        body = self.kinds[kind_name].objects[key][1]
        self._change(kind_name, key, body, b"DELETED")

    def _change(self, kind_name, key, body, what):
        kind = self.kinds[kind_name]
        with self.lock:
            self.version += 1
            version = self.version
            with kind.news:
                line = b'{"type":"' + what + b'","object":' + numbered(body, version) + b"}\n"
                if what == b"DELETED":
                    del kind.objects[key]
                else:
                    kind.objects[key] = (version, body)
                kind.events.append((version, key, line))
                if len(kind.events) > KEPT_EVENTS:
                    kind.dropped = kind.events.popleft()[0]
                kind.news.notify_all()

    def compact(self):
        """Forgets the past: who continues a watch has to list anew."""
        with self.lock:
            self.version += 1  # so that nobody holds the newest
            for kind in self.kinds.values():
                with kind.news:
                    kind.events.clear()
                    kind.dropped = self.version


def numbered(body, version):
    return body.replace(Store.VERSION, str(version).encode(), 1)


class Selection:
    """Of the selectors that proxies send, those that leave out something here."""

    def __init__(self, kind_name, query):
        fields, labels = query.get("fieldSelector", [""])[0], query.get("labelSelector", [""])[0]
        self.only = self.but = None
        if kind_name == "Node":
            self.only = fields.removeprefix("metadata.name=") if fields.startswith("metadata.name=") else None
            self.but = fields.removeprefix("metadata.name!=") if fields.startswith("metadata.name!=") else None
        # Pods with a weight, EndpointSlices of somebody else than the controller: there are none.
        self.none = "kube-ipvs.io/weight" in labels or "managed-by!=" in labels

    def has(self, key):
        return not self.none and self.only in (None, key) and (self.but is None or key != self.but)


class Server:
    """`counts`: requests and bytes by what was asked for; read them when nothing is under way."""

    def __init__(self, store, watch_seconds):
        self.store, self.watch_seconds = store, watch_seconds
        self.counts = collections.Counter()
        self.life = 0  # a restart is the next one
        handler = type("Handler", (Handler,), {"owner": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def restart(self):
        """Ends all watches at once, and has forgotten all events."""
        self.life += 1
        self.store.compact()
        for kind in self.store.kinds.values():
            with kind.news:
                kind.news.notify_all()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        kind_name = PATHS.get(url.path)
        if kind_name is None:
            known = url.path == "/apis"
            self.owner.counts["other requests"] += 1
            return self._send(200 if known else 404, GROUPS if known else {"kind": "Status", "code": 404})
        kind, selection = self.owner.store.kinds[kind_name], Selection(kind_name, query)
        try:
            if "watch" in query:
                self._watch(kind, selection, query)
            else:
                self._list(kind, selection, query)
        except OSError:
            self.close_connection = True

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.owner.counts["other requests"] += 1
        self._send(201, {"kind": "Event", "apiVersion": "v1", "metadata": {}})

    def log_message(self, *_):
        pass

    def _send(self, status, value):
        body = encode(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, what, data):
        if data:
            self.owner.counts[what + " bytes"] += len(data)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _snapshot(self, kind, selection):
        """The version of the store, and the objects at that version."""
        with self.owner.store.lock:
            return self.owner.store.version, [each for key, each in kind.objects.items() if selection.has(key)]

    def _objects(self, objects, what, before, between, after):
        """Sends all of them, a few hundred at a time."""
        for first in range(0, len(objects), 256):
            part = [before + numbered(body, version) for version, body in objects[first:first + 256]]
            self._chunk(what, between.join(part) + (between if first + 256 < len(objects) else after))

    def _list(self, kind, selection, query):
        what = f"{kind.name} list"
        self.owner.counts[what + "s"] += 1
        self._begin()
        version, objects = self._snapshot(kind, selection)
        head = encode({"kind": kind.name + "List", "apiVersion": kind.api_version,
                       "metadata": {"resourceVersion": str(version)}, "items": []})
        self._chunk(what, head[:-2])
        if query.get("limit") != ["1"]:  # a probe
            self._objects(objects, what, b"", b",", b"")
        self._chunk(what, b"]}")
        self.wfile.write(b"0\r\n\r\n")

    def _watch(self, kind, selection, query):
        life, what = self.owner.life, f"{kind.name} watch"
        version = int(query.get("resourceVersion", ["0"])[0] or 0)
        streams = "sendInitialEvents" in query
        if not streams and version < kind.dropped:
            self.owner.counts[f"{kind.name} refused as expired"] += 1
            return self._send(410, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
                                    "code": 410, "message": "too old resource version"})
        self.owner.counts[f"{kind.name} streamed lists" if streams else what + "es"] += 1
        self._begin()
        if streams:
            name = f"{kind.name} list"
            version, objects = self._snapshot(kind, selection)
            self._objects(objects, name, b'{"type":"ADDED","object":', b"}\n", b"}\n")
            self._chunk(name, kind.bookmark(version, ends_list=True))
        asked = float(query.get("timeoutSeconds", ["600"])[0])
        end = time.monotonic() + min(asked, self.owner.watch_seconds())
        bookmark_at = time.monotonic() + BETWEEN_BOOKMARKS
        while self.owner.life == life:
            now = time.monotonic()
            news, version = self._news(kind, selection, version, min(end, bookmark_at) - now)
            if news is None:
                break  # too slow for the window: the watch ends, and will be refused
            self.owner.counts[what + " events"] += len(news)
            self._chunk(what, b"".join(news))
            if time.monotonic() >= min(end, bookmark_at):
                self._chunk(what, kind.bookmark(version))
                bookmark_at = time.monotonic() + BETWEEN_BOOKMARKS
            if time.monotonic() >= end:
                break
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = self.owner.life != life

    @staticmethod
    def _news(kind, selection, version, seconds):
        """Events newer than the version, waiting for some; and the version of the last."""
        with kind.news:
            if not kind.events or kind.events[-1][0] <= version:
                kind.news.wait(max(0, seconds))
            if kind.dropped > version:
                return None, version
            fresh = []
            for event in reversed(kind.events):
                if event[0] <= version:
                    break
                fresh.append(event)
        fresh.reverse()
        return [line for _, key, line in fresh if selection.has(key)], fresh[-1][0] if fresh else version
