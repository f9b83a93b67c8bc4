"""Every text there is compiles; its printed tree is a text that compiles to the same module and prints to the same tree."""
import os
import shutil
import subprocess
import sys
import tempfile

build, source = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
# Definitions only.
LIBRARY = {'darts.nd', 'methods.nd', 'networks.nd', 'robust_darts.nd'}


def run(folder, *arguments):
    environment = dict(os.environ, NDARTS_LIBRARY=os.path.join(folder, 'genotypes'))
    return subprocess.run([f'{build}/bin/ndartsc', *arguments], cwd=folder, env=environment, check=True,
                          stdout=subprocess.PIPE).stdout


def check(folder, path):
    compiles = os.path.basename(path) not in LIBRARY or path.startswith('specs')
    before = run(folder, path) if compiles else None
    tree = run(folder, path, '--emit=ast')
    with open(os.path.join(folder, path), 'wb') as file:
        file.write(tree)
    if run(folder, path, '--emit=ast') != tree:
        return f'{path}: the printed tree prints differently'
    if compiles and run(folder, path) != before:
        return f'{path}: the printed tree compiles to something else'
    return None


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in ('genotypes', 'specs'):
            shutil.copytree(os.path.join(source, name), os.path.join(folder, name))
        paths = [os.path.join(name, file) for name in ('genotypes', 'specs')
                 for file in sorted(os.listdir(os.path.join(folder, name))) if file.endswith('.nd')]
        wrong = [problem for problem in (check(folder, path) for path in paths) if problem]
    print('\n'.join(wrong) if wrong else f'{len(paths)} texts')
    return 1 if wrong or len(paths) < 120 else 0


sys.exit(main())
