# SPDX-License-Identifier: Apache-2.0
#
# Binary packages of Debian, of any architecture, without installing them: an apt with its own sources and lists, and
# the machine's proxies and keys. The machine's own sources and its database of packages are neither read nor changed.
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass

SUITE = os.environ.get('DEBIAN_SUITE', 'bookworm')
MIRROR = os.environ.get('DEBIAN_MIRROR', 'http://deb.debian.org/debian')
SECURITY_MIRROR = os.environ.get('DEBIAN_SECURITY_MIRROR', 'http://deb.debian.org/debian-security')
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

TRIPLETS = {'amd64': 'x86_64-linux-gnu', 'arm64': 'aarch64-linux-gnu'}


class Fault(Exception):
    """What the user has to know: one line, without a stack."""


def run(*command, **options):
    try:
        ended = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    except OSError as e:
        raise Fault(f'{command[0]} cannot be run: {e.strerror}') from e
    if ended.returncode != 0:
        raise Fault(f'{" ".join(command[:3])} ...: exit code {ended.returncode}\n{ended.stderr.strip()}')
    return ended.stdout


@contextlib.contextmanager
def locked(directory):
    """Makes the directory, and keeps other builds out of it. Never one inside another: no two wait for each other."""
    os.makedirs(directory, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'{directory}: waiting for another build, which uses it', file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@dataclass
class Package:
    name: str
    version: str
    architecture: str
    source: str  # of the source package
    source_version: str
    control: str  # the whole file, as in the archive
    sha256: str  # of the .deb; '' if that is not at hand
    root: str  # the directory with its files

    def purl(self):
        upstream = self.source if self.source_version == self.version else f'{self.source}@{self.source_version}'
        return (f'pkg:deb/debian/{quote(self.name)}@{quote(self.version)}?arch={self.architecture}'
                f'&distro={SUITE}&upstream={quote(upstream)}')


def quote(text):
    # What package URLs leave as it is, and '@' and ':' encoded.
    return ''.join(c if c.isalnum() or c in '.-_~' else f'%{ord(c):02X}' for c in text)


def package_from_control(control, sha256, root):
    fields = dict(line.split(': ', 1) for line in control.splitlines() if ': ' in line and not line.startswith(' '))
    source, _, source_version = fields.get('Source', fields['Package']).partition(' ')
    version = fields['Version']
    return Package(fields['Package'], version, fields['Architecture'], source, source_version.strip('()') or version,
                   control.rstrip('\n') + '\n', sha256, root)


def installed_package(name, admin_directory, root):
    """A package that is installed on this machine, or in the root of another architecture."""
    status = run('dpkg-query', '--admindir', admin_directory, '--status', name)
    control = ''.join(line for line in status.splitlines(True) if not line.startswith('Status: '))
    return package_from_control(control, '', root)


def find_debs(directory, names):
    found = {}
    for file in sorted(os.listdir(directory)):
        name = file.split('_')[0]
        if not file.endswith('.deb') or name not in names:
            continue
        if name in found:
            raise Fault(f'{directory}: two versions of {name}: {found[name]}, {file}')
        found[name] = file
    return found


def private_apt(architecture, work, backports=False):
    """The command and its options, with lists that are up to date."""
    lists = os.path.join(work, 'lists')
    for directory in (lists, os.path.join(work, 'archives')):
        os.makedirs(os.path.join(directory, 'partial'), exist_ok=True)
    sources = os.path.join(work, 'sources.list')
    suites = [(MIRROR, SUITE), (MIRROR, SUITE + '-updates'), (SECURITY_MIRROR, SUITE + '-security')]
    if backports:
        suites.append((MIRROR, SUITE + '-backports'))
    with open(sources, 'w', encoding='ascii') as file:
        for mirror, suite in suites:
            file.write(f'deb [arch={architecture} signed-by={KEYRING}] {mirror} {suite} main\n')
    options = [f'{key}={value}' for key, value in {
        'Dir::Etc::sourcelist': sources, 'Dir::Etc::sourceparts': '-', 'Dir::Etc::preferencesparts': '-',
        'Dir::Etc::preferences': '-', 'Dir::State': work, 'Dir::State::lists': lists,
        'Dir::State::status': '/dev/null', 'Dir::Cache': work, 'Dir::Cache::pkgcache': '',
        'Dir::Cache::srcpkgcache': '', 'APT::Architecture': architecture, 'APT::Architectures': architecture,
        'APT::Sandbox::User': 'root', 'Acquire::Languages': 'none', 'Acquire::Retries': '3'}.items()]
    apt = ['apt-get', '-q'] + [word for option in options for word in ('-o', option)]
    run(*apt, 'update')
    return apt


def download(names, architecture, directory, work):
    """Brings the newest versions into the directory, and removes others."""
    apt = private_apt(architecture, work)
    uris = run(*apt, 'download', '--print-uris', *names).splitlines()
    wanted = {line.split()[1] for line in uris if line.startswith("'")}
    for file in os.listdir(directory):
        if file.split('_')[0] in names and file.endswith('.deb') and file not in wanted:
            os.remove(os.path.join(directory, file))
    run(*apt, 'download', *names, cwd=directory)


def fetch(names, architecture, directory, work, newest):
    """Unpacks the packages below `work`, by name. What is in the directory is only replaced if `newest`."""
    with locked(directory):
        return fetch_locked(names, architecture, directory, work, newest)


def fetch_locked(names, architecture, directory, work, newest):
    missing = sorted(set(names) - set(find_debs(directory, names)))
    if newest or missing:
        download(sorted(names) if newest else missing, architecture, directory, work)
    packages = {}
    for name, file in find_debs(directory, names).items():
        deb = os.path.join(directory, file)
        root = os.path.join(work, 'unpacked', name)
        os.makedirs(root)
        run('dpkg-deb', '-x', deb, root)
        with open(deb, 'rb') as stream:
            sha256 = hashlib.sha256(stream.read()).hexdigest()
        packages[name] = package_from_control(run('dpkg-deb', '-f', deb), sha256, root)
        if packages[name].architecture not in (architecture, 'all'):
            raise Fault(f'{deb} is for {packages[name].architecture}, not for {architecture}')
    return packages
