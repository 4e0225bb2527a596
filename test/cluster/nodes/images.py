# SPDX-License-Identifier: Apache-2.0
"""The container images of the cluster, made from Debian's packages and the assets; no registry is asked.

An image is a tar file in the format of `docker save`, with one layer. The images of the tests are imported once, on
this host, and all nodes get them as the content of a disk: emulated, an import takes minutes."""

import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import tempfile

from layout import TREE, is_newer, wait_until
from processes import Process

PAUSE = "k8s.gcr.io/pause:3.2"
AGNHOST = "k8s.gcr.io/e2e-test-images/agnhost:2.21"
NGINX = "docker.io/library/nginx:1.27"
KUBE_PROXY = "kube-ipvs.test/kube-proxy:v1.20.2"
SERVER = "kube-ipvs.test/server:1"


def _write(archive, name, data, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def _link(archive, name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    archive.addfile(info)


def _directory(archive, name, mode=0o755):
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    archive.addfile(info)


def _debian_layer(file, packages):
    """The files of Debian packages and of all they need, unpacked and not configured."""
    archive = subprocess.run([TREE / "test/lib/archive"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["mmdebstrap", "--variant=extract", "--quiet", f"--include={','.join(packages)}",
                    "bookworm", str(file), archive], check=True)
    with tarfile.open(file, "a") as archive:
        for name, mode in (("run", 0o755), ("tmp", 0o1777), ("var/tmp", 0o1777)):
            _directory(archive, name, mode)


def save(path, name, layer, config):
    """Writes the image `name` with the file `layer` as its only layer."""
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    description = json.dumps({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **config}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    new = path.with_suffix(".new")
    with tarfile.open(new, "w") as archive:
        _write(archive, "config.json", description)
        archive.add(layer, "layer.tar")
        _write(archive, "manifest.json", manifest)
    new.rename(path)


def _pause(layout, layer):
    with tarfile.open(layer, "w") as archive:
        archive.add(layout.program("pause"), "pause")


def _agnhost(layout, layer):
    _debian_layer(layer, ["bash", "bind9-dnsutils", "coreutils", "curl", "iproute2", "iputils-ping", "netcat-openbsd",
                          "wget"])
    with tarfile.open(layer, "a") as archive:
        archive.add(layout.program("agnhost"), "agnhost")
        _link(archive, "bin/sh", "bash")
        _link(archive, "bin/nc", "nc.openbsd")
        _write(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")


_NGINX_CONFIGURATION = b"""daemon off;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  server {
    listen 80;
    location / { default_type text/plain; return 200 "$hostname\\n"; }
  }
}
"""


def _nginx(_layout, layer):
    _debian_layer(layer, ["nginx-light", "dash", "coreutils"])
    with tarfile.open(layer, "a") as archive:
        _write(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n")
        _write(archive, "etc/group", b"root:x:0:\nwww-data:x:33:\n")
        _write(archive, "etc/nginx/nginx.conf", b"user www-data;\n" + _NGINX_CONFIGURATION)


def _kube_proxy(layout, layer):
    _debian_layer(layer, ["iptables", "ipset", "conntrack", "kmod", "dash"])
    with tarfile.open(layer, "a") as archive:
        archive.add(layout.program("kube-proxy"), "usr/local/bin/kube-proxy")
        for tool in ("iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-save",
                     "ip6tables-restore"):
            _link(archive, f"usr/local/sbin/{tool}", "/usr/sbin/xtables-nft-multi")


_SERVER = b"""import socket
from server import Server
Server(socket.gethostname()).run()
"""


_SERVER_MODULES = [TREE / "test/e2e" / name for name in ("server.py", "namespace.py", "load.py")]


def _server(_layout, layer):
    _debian_layer(layer, ["python3", "dash", "coreutils"])
    with tarfile.open(layer, "a") as archive:
        for module in _SERVER_MODULES:
            archive.add(module, f"server/{module.name}")
        _write(archive, "server/main.py", _SERVER)


# The name, what fills the layer, the files in it that are not Debian's (of the assets, or by their whole path), the
# configuration.
_IMAGES = {
    "pause": (PAUSE, _pause, ["pause"], {"Entrypoint": ["/pause"]}),
    "agnhost": (AGNHOST, _agnhost, ["agnhost"], {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]}),
    "nginx": (NGINX, _nginx, [], {"Entrypoint": ["/usr/sbin/nginx"]}),
    "server": (SERVER, _server, _SERVER_MODULES, {"Entrypoint": ["/usr/bin/python3", "/server/main.py"]}),
    "kube-proxy": (KUBE_PROXY, _kube_proxy, ["kube-proxy"], {"Entrypoint": ["/usr/local/bin/kube-proxy"]}),
}


def make(layout):
    """Makes the images, and the disk with all of them, that are not there or are older than what they are made of.
    Debian's packages are taken once. Nodes that run keep the old images."""
    made = {name: layout.images / f"{name}.tar" for name in _IMAGES}
    for name, (reference, fill, files, config) in _IMAGES.items():
        if is_newer(made[name], [pathlib.Path(__file__), *map(layout.program, files)]):
            continue
        print(f"making the image {reference}", flush=True)
        with tempfile.TemporaryDirectory(dir=layout.directory) as scratch:
            layer = pathlib.Path(scratch) / "layer.tar"
            fill(layout, layer)
            save(made[name], reference, layer, config)
    if not is_newer(layout.disk, made.values()):
        _make_disk(layout)


def _make_disk(layout):
    with tempfile.TemporaryDirectory(dir=layout.directory) as scratch:
        root = pathlib.Path(scratch) / "root"
        _import_images(layout, root, scratch)
        used = int(subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout.split()[0])
        disk = layout.disk.with_suffix(".new")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, f"{used * 2 + 500}m"], check=True)
        disk.rename(layout.disk)


def _import_images(layout, root, scratch):
    """Has a containerd of this host's write its directory `root`."""
    programs = layout.assets / "node/usr/bin"
    socket = f"{scratch}/containerd.sock"
    configuration = pathlib.Path(scratch) / "containerd.toml"
    configuration.write_text(f"""version = 2
root = "{root}"
state = "{scratch}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{socket}"
""")
    containerd = Process(layout.directory, "import")
    containerd.start([programs / "containerd", "--config", configuration])
    control = [programs / "ctr", "--address", socket, "--namespace", "k8s.io"]
    try:
        wait_until("containerd", lambda: subprocess.run([*control, "version"], capture_output=True, check=False)
                   .returncode == 0, 30, pause=0.2)
        for name in _IMAGES:
            subprocess.run([*control, "images", "import", layout.images / f"{name}.tar"], check=True,
                           stdout=subprocess.DEVNULL)
    finally:
        containerd.end()
