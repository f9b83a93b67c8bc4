"""What pip asks for (PEP 517), and tools/wheel.sh: a wheel of the Python package, libndarts with what it needs of this
machine's libraries, genotypes and specs. It holds no Python headers, so one wheel serves every version of Python.

    CMake builds and installs the library       build-wheel/, or $NDARTS_BUILD as it is
    ldd says what it needs besides              copied beside it, found by its RPATH
    the newest GLIBC_2.N among all of them      the wheel's tag, manylinux_2_N

Bundled are only libraries whose licences allow it in a work of any licence: so TIFF, whose Debian package needs one under
the GPL, is left out of what is built here.
"""
import base64
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

try:
    import tomllib
except ImportError:
    import tomli as tomllib

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Of every Linux, by the rules of manylinux.
SYSTEM = re.compile(r'^(linux-vdso|ld-linux.*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+))\.so')


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding='utf-8') as file:
        return file.read()


def project():
    return tomllib.loads(read('pyproject.toml'))['project']


def version():
    return re.search(r'^project\(ndarts VERSION ([0-9.]+)', read('CMakeLists.txt'), re.MULTILINE).group(1)


def run(*command):
    """What a program prints; what it complains about is shown."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def build_library():
    """The build folder."""
    given = os.environ.get('NDARTS_BUILD')
    if given:
        return given
    folder = os.path.join(SOURCE, 'build-wheel')
    generator = ['-G', 'Ninja'] if shutil.which('ninja') else []
    sys.stderr.write(run('cmake', '-S', SOURCE, '-B', folder, *generator, '-DCMAKE_BUILD_TYPE=Release', '-DNDARTS_TESTS=OFF',
                         '-DCMAKE_INSTALL_LIBDIR=lib', '-DTIFF_LIBRARY=OFF'))
    sys.stderr.write(run('cmake', '--build', folder, '--target', 'ndarts_shared', '--parallel', str(os.cpu_count() or 1)))
    return folder


def copyright_of(path):
    """The licence of a library, as Debian has it beside its package; '' elsewhere."""
    if not shutil.which('dpkg-query'):
        return ''
    for name in (path, os.path.realpath(path), os.path.realpath(path).replace('/usr/lib', '/lib')):
        found = subprocess.run(['dpkg-query', '-S', name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        text = f'/usr/share/doc/{found.stdout.split(":")[0]}/copyright'
        if found.returncode == 0 and os.path.exists(text):
            with open(text, encoding='utf-8', errors='replace') as file:
                return file.read()
    return ''


def bundle(library, licences):
    """Puts what a library needs of others beside it."""
    for line in run('ldd', library).splitlines():
        found = re.match(r'\s*(\S+) => (/\S+)', line)
        if not found or SYSTEM.match(found.group(1)):
            continue
        name, path = found.groups()
        shutil.copy(path, os.path.join(os.path.dirname(library), name))
        text = copyright_of(path)
        if text:
            licences[name] = text


def make_package(folder):
    """The package in `folder`; the licences of what is bundled, by its name."""
    built, package, licences = build_library(), os.path.join(folder, 'ndarts'), {}
    shutil.copytree(os.path.join(SOURCE, 'python', 'ndarts'), package, ignore=shutil.ignore_patterns('__pycache__'))
    for component in ('library', 'definitions'):
        run('cmake', '--install', built, '--prefix', package, '--component', component)
    libraries = os.path.join(package, 'lib')
    whole = next(name for name in os.listdir(libraries) if not os.path.islink(os.path.join(libraries, name)))
    for name in os.listdir(libraries): # wheels have no links
        if os.path.islink(os.path.join(libraries, name)):
            os.unlink(os.path.join(libraries, name))
    library = os.path.join(libraries, 'libndarts.so.' + version().split('.')[0])
    os.rename(os.path.join(libraries, whole), library)
    bundle(library, licences)
    return package, licences


def tag(package):
    """py3-none-manylinux_2_36_x86_64: what the newest symbol of the C library demands."""
    newest = (2, 17)
    for name in os.listdir(os.path.join(package, 'lib')):
        symbols = run('objdump', '-T', os.path.join(package, 'lib', name))
        newest = max([newest, *((int(a), int(b)) for a, b in re.findall(r'GLIBC_([0-9]+)\.([0-9]+)', symbols))])
    return f'py3-none-manylinux_{newest[0]}_{newest[1]}_{platform.machine()}'


def metadata():
    p = project()
    lines = ['Metadata-Version: 2.1', f'Name: {p["name"]}', f'Version: {version()}', f'Summary: {p["description"]}',
             f'License: {p["license"]["text"]}', f'Requires-Python: {p["requires-python"]}',
             *(f'Requires-Dist: {needed}' for needed in p['dependencies']), 'Description-Content-Type: text/markdown']
    return '\n'.join(lines) + '\n\n' + read(p['readme'])


class Wheel:
    """A zip file, and the record of what is in it; the same bytes for the same contents."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED)
        self.record = []

    def add(self, name, data, mode=0o644):
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(entry, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        self.record.append(f'{name},sha256={digest},{len(data)}\n')

    def add_folder(self, folder, under):
        for path, folders, files in os.walk(folder):
            folders.sort()
            for file in sorted(files):
                whole = os.path.join(path, file)
                with open(whole, 'rb') as opened:
                    self.add(os.path.join(under, os.path.relpath(whole, folder)), opened.read(), 0o755 if '.so' in file else 0o644)

    def close(self, record):
        entry = zipfile.ZipInfo(record, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100644 << 16
        self.zip.writestr(entry, ''.join(self.record) + f'{record},,\n')
        self.zip.close()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Makes the wheel; its file name."""
    del config_settings, metadata_directory
    with tempfile.TemporaryDirectory() as folder:
        package, licences = make_package(folder)
        tags, info = tag(package), f'ndarts-{version()}.dist-info'
        name = f'ndarts-{version()}-{tags}.whl'
        wheel = Wheel(os.path.join(wheel_directory, name))
        wheel.add_folder(package, 'ndarts')
        wheel.add(f'{info}/METADATA', metadata().encode())
        wheel.add(f'{info}/WHEEL', f'Wheel-Version: 1.0\nGenerator: ndarts\nRoot-Is-Purelib: false\nTag: {tags}\n'.encode())
        wheel.add(f'{info}/licenses/LICENSE', read('LICENSE').encode())
        for library, text in sorted(licences.items()):
            wheel.add(f'{info}/licenses/{library}', text.encode())
        wheel.close(f'{info}/RECORD')
    return name


def build_sdist(sdist_directory, config_settings=None):
    """The source tree without what is built; its file name."""
    del config_settings
    base = f'ndarts-{version()}'
    skipped = re.compile(r'(^|/)(\.git|build[^/]*|__pycache__|runs|data)$')
    keep = lambda entry: None if skipped.search(entry.name[len(base):]) and entry.name.count('/') == 1 else entry
    with tarfile.open(os.path.join(sdist_directory, base + '.tar.gz'), 'w:gz') as archive:
        archive.add(SOURCE, base, filter=keep)
        text = metadata().encode()
        entry = tarfile.TarInfo(f'{base}/PKG-INFO')
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return base + '.tar.gz'


if __name__ == '__main__':
    os.makedirs(sys.argv[1], exist_ok=True)
    print(os.path.join(sys.argv[1], build_wheel(sys.argv[1])))
