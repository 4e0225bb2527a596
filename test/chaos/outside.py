# SPDX-License-Identifier: Apache-2.0
#
# Runs outside of the test kernel, where it is fast: the real API server of test/cluster, a publisher that gives it what
# the stage has last written, the proxy (proxy.py) by which the agent reaches it, and a control server, by which the
# stage says what it wants:
#
#   GET /kubeconfig      of the agent
#   PUT /objects         all that there is to be, as JSON; answers {"generation": 7}
#   GET /state           {"applied": 7, "well": true}: the API server has it, and nothing is the matter with it
#   POST /restart, ...   see events.py
#
# A kubelet's part is played, too: the status of a Pod is what the stage has written, and a Pod that it has written with
# a deletionTimestamp is deleted with a grace period, one that it has not written any more is deleted at once.
import hashlib
import http.client
import http.server
import json
import os
import queue
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

from proxy import Proxy

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACE = "/api/v1/namespaces/default"
NOTE = "chaos/written"  # what the object's spec was made from
FAULT = 4  # seconds that a fault of the proxy lasts
DOWN = 4  # seconds that a crashed API server is down


class Store:
    """etcd and kube-apiserver, from KUBEBUILDER_ASSETS."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="kube-ipvs-chaos.")
        self.supervisor = None

    def start(self):
        with open(f"{self.directory}/log", "ab") as log:
            self.supervisor = subprocess.Popen([f"{HERE}/../cluster/apiserver", self.directory], stdout=log, stderr=log)
        self.wait()

    def wait(self):
        while not os.path.exists(f"{self.directory}/env"):
            if self.supervisor.poll() is not None:
                with open(f"{self.directory}/log", encoding="utf-8") as log:
                    raise RuntimeError(f"the API server ended: {log.read()[-2000:]}")
            time.sleep(0.1)

    def value(self, name):
        with open(f"{self.directory}/env", encoding="ascii") as file:
            return int(dict(line.strip().split("=") for line in file)[name])

    def crash(self, seconds):
        self.supervisor.send_signal(signal.SIGUSR1)
        while os.path.exists(f"{self.directory}/env"):
            time.sleep(0.05)
        time.sleep(seconds)
        self.supervisor.send_signal(signal.SIGHUP)
        self.wait()

    def remember(self):
        """A copy of etcd's data, as a crash would leave it."""
        etcd = self.value("ETCD_PID")
        os.kill(etcd, signal.SIGSTOP)
        try:
            shutil.rmtree(f"{self.directory}/copy", ignore_errors=True)
            shutil.copytree(f"{self.directory}/etcd", f"{self.directory}/copy")
        finally:
            os.kill(etcd, signal.SIGCONT)

    def forget(self):
        self.stop()
        shutil.rmtree(f"{self.directory}/etcd")
        os.rename(f"{self.directory}/copy", f"{self.directory}/etcd")
        self.start()

    def stop(self):
        if self.supervisor:
            self.supervisor.terminate()
            self.supervisor.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self):
        context = ssl.create_default_context(cafile=f"{self.directory}/ca.crt")
        return http.client.HTTPSConnection("127.0.0.1", self.value("PORT"), timeout=20, context=context)


class Publisher:
    """Makes the API server have what is wanted. It compares with what is there, so that it is right after any loss."""

    def __init__(self, store):
        self.store, self.connection = store, None

    def publish(self, objects):
        try:
            if self.connection is None:
                self.connection = self.store.connect()
            for kind, plural in (("Service", "services"), ("Pod", "pods")):
                wanted = {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}
                found = {each["metadata"]["name"]: each for each in self._call("GET", f"/{plural}")["items"]}
                for name in found.keys() - wanted.keys() - {"kubernetes"}:
                    self._delete(plural, name, 0)
                for name, each in wanted.items():
                    self._write(plural, each, found.get(name))
        except Exception:
            self.connection = None
            raise

    def _delete(self, plural, name, grace):
        self._call("DELETE", f"/{plural}/{name}", {"apiVersion": "v1", "kind": "DeleteOptions",
                                                   "gracePeriodSeconds": grace})

    def _write(self, plural, wanted, found):
        metadata = dict(wanted["metadata"])
        name, leaves = metadata["name"], metadata.pop("deletionTimestamp", None)
        grace = metadata.pop("deletionGracePeriodSeconds", 0)
        status = self._status(wanted)
        if found and "deletionTimestamp" in found["metadata"] and not leaves:
            self._delete(plural, name, 0)
            found = None
        note = hashlib.sha256(json.dumps([metadata, wanted["spec"]]).encode()).hexdigest()
        metadata["annotations"] = {**metadata.get("annotations", {}), NOTE: note}
        new = {**wanted, "metadata": metadata}
        if not found:
            found = self._call("POST", f"/{plural}", new)
        elif found["metadata"].get("annotations", {}).get(NOTE) != note:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
            found = self._call("PUT", f"/{plural}/{name}", new)
        if any(found["status"].get(key) != value for key, value in status.items()):
            self._call("PUT", f"/{plural}/{name}/status", {**found, "status": status})
        if leaves and "deletionTimestamp" not in found["metadata"]:
            self._delete(plural, name, grace)

    @staticmethod
    def _status(wanted):
        if wanted["kind"] == "Service":
            return {"loadBalancer": wanted.get("status", {}).get("loadBalancer", {})}
        address, ready = wanted["status"]["podIP"], "True"
        for condition in wanted["status"].get("conditions", ()):
            ready = condition["status"]
        return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": kind, "status": ready, "lastProbeTime": None, "lastTransitionTime": None}
                               for kind in ("Ready", "ContainersReady")]}

    def _call(self, method, path, body=None):
        with open(f"{self.store.directory}/token", encoding="ascii") as file:
            headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
        self.connection.request(method, NAMESPACE + path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300 and (method, answer.status) != ("DELETE", 404):
            raise RuntimeError(f"{method} {path}: {text}")
        return json.loads(text)


class Outside:
    """All of it, as a context; `port` is the control server's."""

    def __init__(self):
        self.store, self.orders = Store(), queue.Queue()
        self.objects, self.generation, self.applied = [], 0, 0
        self.busy, self.ending, self.complaint = False, False, ""

    def __enter__(self):
        try:
            self.store.start()
            self.proxy = Proxy(self.store)
            handler = type("Handler", (Control,), {"outside": self})
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            self.server.daemon_threads = True
            self.port = self.server.server_address[1]
            self.threads = [threading.Thread(target=each) for each in (
                self.server.serve_forever, self.proxy.serve_forever, self._work)]
            for thread in self.threads:
                thread.start()
        except BaseException:
            self.store.remove()
            raise
        return self

    def __exit__(self, *_):
        self.ending = True
        self.server.shutdown()
        self.proxy.shutdown()
        for thread in self.threads:
            thread.join()
        self.store.remove()

    def kubeconfig(self):
        with open(f"{self.store.directory}/kubeconfig.guest", encoding="utf-8") as file:
            lines = [f"    server: https://10.0.2.2:{self.proxy.port}\n" if "server:" in line else line
                     for line in file]
        return "".join(lines)

    def write(self, objects):
        self.objects, self.generation = objects, self.generation + 1
        return self.generation

    def well(self):
        return not (self.busy or self.orders.qsize() or self.applied < 0 or self.complaint or self.proxy.fault)

    def _work(self):
        publisher = Publisher(self.store)
        while not self.ending:
            try:
                order = self.orders.get(timeout=0.05)
                self.busy = True
                self._carry_out(order, publisher)
            except queue.Empty:
                self._publish(publisher)

    def _publish(self, publisher):
        generation = self.generation
        if generation == self.applied:
            return
        try:
            publisher.publish(self.objects)
            self.applied, self.complaint = generation, ""
        except Exception as error:
            self.complaint = repr(error)
            time.sleep(0.2)

    def _carry_out(self, order, publisher):
        try:
            if order in ("restart", "crash"):
                self.store.crash(DOWN if order == "crash" else 0)
            elif order == "remember":
                self._publish(publisher)
                self.store.remember()
                self.proxy.remember()
            elif order == "forget":
                self.store.forget()
                publisher.connection = None
                self.applied = -1
            else:
                self.proxy.fail(order, FAULT)
        finally:
            self.busy = False


class Control(http.server.BaseHTTPRequestHandler):
    outside = None

    def do_GET(self):
        if self.path == "/kubeconfig":
            return self._answer(self.outside.kubeconfig())
        self._answer(json.dumps({"applied": self.outside.applied, "well": self.outside.well(),
                                 "complaint": self.outside.complaint}))

    def do_PUT(self):
        objects = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(json.dumps({"generation": self.outside.write(objects)}))

    def do_POST(self):
        self.outside.orders.put(self.path[1:])
        self._answer("{}")

    def _answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass
