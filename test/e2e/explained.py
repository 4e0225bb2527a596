# SPDX-License-Identifier: Apache-2.0
#
# Compares every exchange of the tests with what `explain` says of it: answered, refused or dropped, by which endpoints,
# and which source address the endpoint sees.
#
# The question goes to the agent's unix socket, before the exchange and after it. If the two answers differ, something
# changed meanwhile, and the exchange is not compared: it counts as `moving`. A difference fails the test.
import contextlib
import http.client
import ipaddress
import json
import os
import socket
import urllib.parse

from client import family_of, split_url

SOCKET = "/run/kube-ipvs/api.sock"


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(SOCKET)


def question(path, **parameters):
    """The answer as data; None: nobody listens, or it has no such question."""
    connection = Connection("localhost")
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def source_for(address, source=None):
    """The address from which a socket of this thread's network namespace would reach the other one."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as probe:
        if source:
            probe.bind((source, 0))
        probe.connect((address, 9))
        return probe.getsockname()[0]


def plain(address):
    """An IPv4 address that a socket of both families sees is the IPv4 address."""
    parsed = ipaddress.ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


class Explained:
    """One per lab."""

    def __init__(self, lab):
        self.lab = lab
        self.compared = {"answered": 0, "refused": 0, "dropped": 0, "host or foreign": 0, "source seen": 0}
        self.moving = self.unasked = 0
        self.differences = []
        self.is_left_out = False

    def way(self, place, address, port, protocol="tcp", source=None):
        if not self.lab.runs("agent") or not os.path.exists(SOCKET):
            return None
        try:
            with place.namespace:
                client = source_for(address, source)
        except OSError:
            return None
        to = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        answer = question("/v1/explain", to=to, protocol=protocol, **{"from": client})
        return answer["ways"][0] if answer and answer["ways"] else None

    def way_of_url(self, place, url, source=None):
        address, port, _, _ = split_url(url)
        return self.way(place, address, port, source=source)

    @contextlib.contextmanager
    def left_out(self):
        """What is asked here is decided by rules of others, which `explain` does not run."""
        self.is_left_out = True
        yield
        self.is_left_out = False

    def compare(self, what, before, after, results, seen=False):
        """`results`: bodies of answers, or OSErrors. `seen`: the bodies are the addresses that the endpoints saw."""
        if before is None or after is None or self.is_left_out:
            self.unasked += len(results)
            return
        if before != after:
            self.moving += len(results)
            return
        for result in results:
            fault = self._fault(before, result, seen)
            if fault:
                self.differences.append(f"{what}: {fault}")
                raise AssertionError(f"explain: {what}: {fault}\n{json.dumps(before, indent=1)}")

    def _fault(self, way, result, seen):
        """"": as it was explained; else what was not. None: it says nothing."""
        verdict = way["verdict"]
        if isinstance(result, ConnectionRefusedError):
            kind = "refused"
        elif isinstance(result, TimeoutError):
            kind = "dropped"
        elif isinstance(result, OSError):
            return None  # broken off: no matter of the first packet
        else:
            kind = "answered"
        serving = [each for each in way["endpoints"] if each["state"] == "serving"]
        # A client of a persistent virtual server may go on to where it was.
        endpoints = way["endpoints"] if way["persistence_seconds"] else serving
        addresses = {plain(each["endpoint"].rpartition(":")[0].strip("[]")) for each in endpoints}
        if verdict in ("host", "foreign"):  # others decide, who may redirect it to a Pod: a host port
            self.compared["host or foreign"] += 1
            return ""
        expected = {"delivered": "answered", "refused": "refused", "dropped": "dropped"}[verdict]
        self.compared[kind] += 1
        if kind == "dropped" and any("may drop" in each for each in way["depends"]):
            return ""  # a forward chain of others
        if kind != expected:
            return f"{kind} ({result!r}), and the verdict is {verdict}: {way['reason']}"
        if kind != "answered":
            return ""
        if seen:
            return self._fault_of_source(way, serving, plain(result.strip()))
        # By address: a test may have Pods of other names at a pod's address.
        pod = self.lab.places.get(result.strip())
        if pod and pod.pod_addresses and not pod.pod_addresses & addresses:
            return f"{result.strip()} answers, and the endpoints are {sorted(addresses)}"
        return ""

    def _fault_of_source(self, way, serving, address):
        self.compared["source seen"] += 1
        expected = {each["source_seen"] for each in serving}
        own = self.lab.node.addresses()
        good = expected | {way["from"]} if "depends on the source" in expected else expected
        if {"an address of this node", "depends on the source"} & expected:
            good |= own
        return "" if address in good else f"{address} is seen, and {sorted(expected)} is expected"

    def text(self):
        """"": nothing was asked."""
        if not self.moving and not any(self.compared.values()):
            return ""
        parts = [f"{count} {kind}" for kind, count in self.compared.items() if count]
        total = sum(count for kind, count in self.compared.items() if kind != "source seen")
        return (f"explain: {total} exchanges compared ({', '.join(parts)}), {len(self.differences)} differ, "
                f"{self.moving} while something changed, {self.unasked} not asked")
