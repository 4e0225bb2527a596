# SPDX-License-Identifier: Apache-2.0
"""Requests to an API server, by the kubeconfig that test/cluster/apiserver writes: one cluster, one token. The standard
library has no YAML."""

import base64
import http.client
import json
import os
import random
import re
import ssl
import sys
import time
import urllib.parse

MANAGER = "populate"
TRIES = 10  # about half a minute, longer than a restart of the server takes


class ApiError(Exception):
    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path}: {status} {body[:500].decode(errors='replace')}")
        self.status = status
        self.already_exists = status == 409 and b"AlreadyExists" in body


class Cluster:
    """Where the API server is and how to be let in."""

    def __init__(self, kubeconfig):
        text = open(kubeconfig, encoding="utf-8").read()

        def value(key):
            found = re.findall(rf"^\s*{key}:\s*(\S+)\s*$", text, re.MULTILINE)
            if len(found) != 1:
                sys.exit(f"{os.path.basename(sys.argv[0])}: {kubeconfig} has {len(found)} times '{key}', not once")
            return found[0].strip("'\"")

        server = urllib.parse.urlsplit(value("server"))
        self.host, self.port = server.hostname, server.port
        self.token = value("token")
        authority = base64.b64decode(value("certificate-authority-data")).decode()
        self.tls = ssl.create_default_context(cadata=authority)


class Client:
    """One kept-alive connection. Not for sharing between threads."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.connection = None

    def call(self, method, path, body=None, manager=MANAGER):
        """The decoded answer. Retries lost connections, conflicts, overload and server errors."""
        payload = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        # The part of User-Agent before the slash becomes `manager` in managedFields.
        headers = {"Authorization": f"Bearer {self.cluster.token}", "User-Agent": f"{manager}/v1",
                   "Accept": "application/json", "Content-Type": "application/json"}
        for attempt in range(TRIES):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection(
                        self.cluster.host, self.cluster.port, context=self.cluster.tls, timeout=60)
                self.connection.request(method, path, payload, headers)
                response = self.connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == TRIES - 1:
                    raise
            else:
                if response.status < 300:
                    return json.loads(answer)
                error = ApiError(method, path, response.status, answer)
                passing = response.status in (409, 429) or response.status >= 500
                if error.already_exists or not passing or attempt == TRIES - 1:
                    raise error
            time.sleep(random.uniform(0, 0.05 * 2**attempt))

    def create(self, path, body, manager=MANAGER):
        """The new object, or None where it was there before."""
        try:
            return self.call("POST", path, body, manager)
        except ApiError as error:
            if not error.already_exists:
                raise
            return None
