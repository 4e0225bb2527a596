# SPDX-License-Identifier: Apache-2.0
#
# A node, a pod or a client of the lab: a network namespace, and what is done there.
import os
import subprocess

import client
from checks import show, wait_until
from load import Load
from namespace import HAS_IPV6, Namespace


def as_text(answers):
    """What Place.tally gives, as "3 away 3 here"."""
    return " ".join(f"{answers[name]} {name}" for name in sorted(answers))


class Place:
    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.pod_addresses = set()  # of a pod
        self.namespace = Namespace()
        # When a Service is deleted, the kernel forgets its connections, but the pods keep their TIME_WAIT sockets for a
        # minute. When the next Service leads to one of them from the same client port, the pod takes the connection if
        # it is later than the last by its timestamp. By default (1) each address of a Service has an offset of its own,
        # and about half are not: the client connects again after 10 ms, and the scheduler has counted one more than the
        # test. With 2 there is no offset.
        self.sysctl("ipv4/tcp_timestamps", 2)
        self.sysctl("ipv6/conf/default/accept_dad", 0)  # addresses can be used at once
        self.sysctl("ipv6/conf/all/accept_dad", 0)

    def sysctl(self, key, value):
        """Writes a file of /proc/sys/net. Those of IPv6 are left out where the kernel has none."""
        if key.startswith("ipv6/") and not HAS_IPV6:
            return
        with self.namespace, open(f"/proc/sys/net/{key}", "w") as file:
            file.write(str(value))

    def forward(self):
        self.sysctl("ipv4/ip_forward", 1)
        self.sysctl("ipv6/conf/all/forwarding", 1)

    def run(self, *command, input=None):
        """Its standard output. An exit code other than 0 is an error."""
        with self.namespace:
            return subprocess.run(command, check=True, text=True, input=input, stdout=subprocess.PIPE).stdout

    def succeeds(self, *command):
        with self.namespace:
            return subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0

    def addresses(self):
        """Of all its interfaces, without kube-ipvs0."""
        lines = self.run("ip", "-oneline", "address", "show").splitlines()
        return {line.split()[3].split("/")[0] for line in lines if line.split()[1] != "kube-ipvs0"}

    def ip(self, *lines):
        """Commands of `ip`, in one batch. Those of IPv6 are left out where the kernel has none."""
        self.run("ip", "-batch", "-", input="\n".join(line for line in lines if HAS_IPV6 or "fd00:" not in line))

    # HTTP

    def fetch(self, url, **options):
        return self._explained(url, client.fetch, lambda answer: answer.body, options)

    def get(self, url, **options):
        return self._explained(url, client.get, lambda body: body, options)

    def _explained(self, url, ask, body_of, options):
        """The exchange, compared with what `explain` says of it (explained.py)."""
        explained, source = self.lab.explained, options.get("source")
        before = explained.way_of_url(self, url, source)
        error = None
        try:
            with self.namespace:
                answer = ask(url, **options)
            result = body_of(answer)
        except OSError as failed:
            result = error = failed
        after = explained.way_of_url(self, url, source)
        explained.compare(f"{self.name} to {url}", before, after, [result], url.endswith("/client"))
        if error:
            raise error
        return answer

    def tally(self, url, requests, path="/"):
        """The answers, counted: {"my-nginx-1": 10}."""
        answers = {}
        before = self.lab.explained.way_of_url(self, url)
        with self.namespace:
            for number in range(1, requests + 1):
                answer = client.get(f"{url}{path}?{number}").strip()
                answers[answer] = answers.get(answer, 0) + 1
        after = self.lab.explained.way_of_url(self, url)
        results = [answer for answer, times in answers.items() for _ in range(times)]
        self.lab.explained.compare(f"{self.name} to {url}{path}", before, after, results, path == "/client")
        return answers

    def reaches(self, url, *names):
        """Six requests reach all the pods of these names, and no other."""
        answers = self.tally(url, 6)
        show(f"{self.name} to {url}:", as_text(answers))
        assert set(answers) == set(names), f"{answers}, not {names}"

    def one_pod(self, url, requests):
        """All requests reach one pod; its name."""
        answers = self.tally(url, requests)
        show(f"{self.name} to {url}:", as_text(answers))
        assert len(answers) == 1, answers
        return next(iter(answers))

    def seen_as(self, url, address):
        """The pods see this address as the client's."""
        answers = self.tally(url, 4, "/client")
        show(f"{self.name} to {url} is seen as", as_text(answers))
        assert answers == {address: 4}, answers

    def refused(self, url, **options):
        """At once, and not by silence."""
        try:
            body = self.get(url, timeout=5, **options)
        except ConnectionRefusedError:
            return True
        except OSError as error:
            raise AssertionError(f"{self.name} to {url}: {error!r}, not refused") from None
        raise AssertionError(f"{self.name} to {url}: answered {body!r}, not refused")

    def dropped(self, url, **options):
        """No answer of any kind."""
        try:
            body = self.get(url, timeout=1.5, **options)
        except TimeoutError:
            return True
        except OSError as error:
            raise AssertionError(f"{self.name} to {url}: {error!r}, not silence") from None
        raise AssertionError(f"{self.name} to {url}: answered {body!r}, not silence")

    # other protocols

    def ask(self, address, port, source_port=None):
        """By UDP: the answer, or "nothing"."""
        before = self.lab.explained.way(self, address, port, "udp")
        udp = self.udp_client(address, port, source_port)
        try:
            answer = udp.ask()
        finally:
            udp.close()
        after = self.lab.explained.way(self, address, port, "udp")
        # "nothing" may be silence or a refusal, or the answer of another flow that was lost.
        if answer != "nothing":
            self.lab.explained.compare(f"{self.name} to UDP {address}:{port}", before, after, [answer])
        return answer

    def udp_client(self, address, port, source_port=None):
        with self.namespace:
            return client.UdpClient(address, port, source_port)

    def connect(self, address, port):
        """A connection to an echo server, which lasts until its close() or the end of the test."""
        with self.namespace:
            connection = client.EchoClient(address, port)
        self.lab.connections.append(connection)
        show(f"{self.name} is connected to {connection.server}")
        return connection

    def start_load(self, name, kind, address, port, workers=4):
        """See load.py. Returns when answers come."""
        going = f"{self.lab.directory}/load-{name}.going"
        if os.path.exists(going):
            os.remove(going)
        with self.namespace:
            self.lab.fork(f"load-{name}", Load(kind, address, port, workers, going))
        wait_until(f"the load {name} gets answers", 30, lambda: os.path.exists(going))
