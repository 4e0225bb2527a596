# SPDX-License-Identifier: Apache-2.0
#
# The files of the image, in memory, until they are written as one tar whose bytes depend on nothing but them: sorted
# by path, of one time, owned by root.
import fnmatch
import hashlib
import os
import stat
import tarfile
from dataclasses import dataclass
from io import BytesIO

from debian import Fault

# The directories that Debian has merged into /usr, and what they are links to.
MERGED = {'/bin': 'usr/bin', '/lib': 'usr/lib', '/lib64': 'usr/lib64', '/sbin': 'usr/sbin'}


@dataclass
class Entry:
    kind: bytes  # of tarfile
    mode: int = 0o755
    data: bytes = b''
    link: str = ''
    package: str = ''  # '': ours


def in_usr(path):
    top = '/' + path.split('/')[1]
    return '/' + MERGED[top] + path[len(top):] if top in MERGED and path != top else path


class Tree:
    def __init__(self):
        self.entries = {}
        for path, target in MERGED.items():
            self.entries[path] = Entry(tarfile.SYMTYPE, 0o777, link=target)

    def add(self, path, entry):
        path = in_usr(path)
        parent = os.path.dirname(path)
        if parent not in ('/', '') and parent not in self.entries:
            self.add(parent, Entry(tarfile.DIRTYPE))
        before = self.entries.get(path)
        if before is not None and before != entry:
            raise Fault(f'{path}: from {before.package or "us"} and, different, from {entry.package or "us"}')
        self.entries[path] = entry

    def add_directory(self, path):
        self.add(path, Entry(tarfile.DIRTYPE))

    def add_file(self, path, data, mode=0o644, package=''):
        self.add(path, Entry(tarfile.REGTYPE, mode, data.encode() if isinstance(data, str) else data, package=package))

    def add_link(self, path, target, package=''):
        self.add(path, Entry(tarfile.SYMTYPE, 0o777, link=target, package=package))

    def take(self, package, path):
        """A file of a package, and what it is a link to within it. The path that has the data."""
        file = package.root + path
        state = os.lstat(file)
        if stat.S_ISLNK(state.st_mode):
            target = os.readlink(file)
            self.add_link(path, target, package.name)
            return self.take(package, os.path.normpath(os.path.join(os.path.dirname(path), target)))
        with open(file, 'rb') as stream:
            self.add_file(path, stream.read(), stat.S_IMODE(state.st_mode) & 0o755, package.name)
        return path

    def take_matching(self, package, pattern, without=()):
        paths = sorted(path for path in files_of(package) if fnmatch.fnmatch(path, pattern))
        if not paths:
            raise Fault(f'{package.name} {package.version} has no {pattern}')
        paths = [path for path in paths if os.path.basename(path) not in without]
        return [self.take(package, path) for path in paths]

    def packages(self):
        return sorted({entry.package for entry in self.entries.values() if entry.package})

    def md5sums(self, package):
        """As dpkg has them, for whoever wants to know which package a file is from."""
        return ''.join(
            f'{hashlib.md5(entry.data, usedforsecurity=False).hexdigest()}  {path[1:]}\n'
            for path, entry in sorted(self.entries.items())
            if entry.package == package and entry.kind == tarfile.REGTYPE)

    def write_tar(self, file, epoch):
        with tarfile.open(file, 'w', format=tarfile.PAX_FORMAT) as archive:
            for path, entry in sorted(self.entries.items()):
                member = tarfile.TarInfo(path[1:])
                member.type, member.mode, member.linkname = entry.kind, entry.mode, entry.link
                member.size, member.mtime = len(entry.data), epoch
                archive.addfile(member, BytesIO(entry.data))

    def listing(self):
        lines = []
        for path, entry in sorted(self.entries.items()):
            if entry.kind == tarfile.SYMTYPE:
                lines.append(f'{"":>9}  {path} -> {entry.link}\n')
            else:
                lines.append(f'{len(entry.data):>9}  {path}{"/" if entry.kind == tarfile.DIRTYPE else ""}\n')
        return ''.join(lines)


def files_of(package):
    for directory, _, files in os.walk(package.root):
        for name in files:
            yield os.path.join(directory, name)[len(package.root):]
