# SPDX-License-Identifier: Apache-2.0
#
# From a layer to an image, with umoci, and from images to one file that every tool takes: an OCI layout, with the
# manifest.json beside it that older Dockers look for.
import hashlib
import json
import os
import tarfile
import time
from dataclasses import dataclass
from io import BytesIO

import contents
from debian import run

MANIFEST, INDEX = 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.index.v1+json'
PREFIX = 'org.opencontainers.image.'
PLATFORMS = {'amd64': {'architecture': 'amd64', 'os': 'linux'},
             'arm64': {'architecture': 'arm64', 'os': 'linux', 'variant': 'v8'}}


@dataclass
class Image:
    architecture: str
    layout: str  # the directory
    descriptor: dict  # of its manifest

    def blob(self, digest):
        with open(os.path.join(self.layout, 'blobs', *digest.split(':')), 'rb') as file:
            return file.read()

    def manifest(self):
        return json.loads(self.blob(self.descriptor['digest']))

    def digests(self):
        manifest = self.manifest()
        return [self.descriptor['digest'], manifest['config']['digest'],
                *(layer['digest'] for layer in manifest['layers'])]

    def size(self):
        return sum(len(self.blob(digest)) for digest in self.digests())


def make_image(layer, architecture, identity, layout):
    created = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(identity.epoch))
    labels = contents.LABELS | {'version': identity.version, 'revision': identity.commit, 'created': created}
    if identity.source:
        labels |= {'source': identity.source, 'url': identity.source}
    run('umoci', 'init', '--layout', layout)
    run('umoci', 'new', '--image', layout + ':image')
    run('umoci', 'raw', 'add-layer', '--image', layout + ':image', '--history.created', created,
        '--history.author', 'kube-ipvs', '--history.created_by', 'packaging/image/build', layer)
    words = ['--no-history', '--created', created, '--author', 'kube-ipvs', '--os', 'linux',
             '--architecture', architecture, '--config.user', contents.USER,
             '--config.entrypoint', contents.AGENT, '--config.env', contents.ENVIRONMENT,
             '--config.workingdir', '/', '--config.stopsignal', 'SIGTERM']
    for key, value in sorted(labels.items()):
        words += ['--config.label', f'{PREFIX}{key}={value}', '--manifest.annotation', f'{PREFIX}{key}={value}']
    run('umoci', 'config', '--image', layout + ':image', *words)
    run('umoci', 'gc', '--layout', layout)
    with open(os.path.join(layout, 'index.json'), encoding='utf-8') as file:
        entry = json.load(file)['manifests'][0]
    descriptor = {'mediaType': MANIFEST, 'digest': entry['digest'], 'size': entry['size'],
                  'platform': PLATFORMS[architecture]}
    return Image(architecture, layout, descriptor)


def text_of(value):
    return json.dumps(value, indent=1).encode() + b'\n'


def write_archive(images, name, epoch, file):
    """One file with all images. The digest under which the name stands."""
    blobs = {digest: image.blob(digest) for image in images for digest in image.digests()}
    if len(images) == 1:
        top = dict(images[0].descriptor)
    else:
        index = text_of({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [image.descriptor for image in images]})
        top = {'mediaType': INDEX, 'digest': 'sha256:' + hashlib.sha256(index).hexdigest(), 'size': len(index)}
        blobs[top['digest']] = index
    top['annotations'] = {'io.containerd.image.name': name, PREFIX + 'ref.name': name.rpartition(':')[2]}
    files = {'oci-layout': text_of({'imageLayoutVersion': '1.0.0'}),
             'index.json': text_of({'schemaVersion': 2, 'manifests': [top]})}
    if len(images) == 1:
        manifest = images[0].manifest()
        files['manifest.json'] = text_of([{
            'Config': path_of(manifest['config']['digest']), 'RepoTags': [name],
            'Layers': [path_of(layer['digest']) for layer in manifest['layers']]}])
    files |= {path_of(digest): blob for digest, blob in blobs.items()}
    # Under its name there is nothing but a whole one: others take what they find there.
    with tarfile.open(file + '.new', 'w', format=tarfile.USTAR_FORMAT) as archive:
        for directory in ('blobs', 'blobs/sha256'):
            member = tarfile.TarInfo(directory)
            member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, epoch
            archive.addfile(member)
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(data), 0o644, epoch
            archive.addfile(member, BytesIO(data))
    os.replace(file + '.new', file)
    return top['digest']


def path_of(digest):
    return 'blobs/' + digest.replace(':', '/')
