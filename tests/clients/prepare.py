"""Owns the virtual environment that the client scenarios run in: makes it once, then finds it again.

Must never need anything but Python's own library (it runs before pip has), touch the clients it installs, or report a
half-made folder as ready. Reader goes next to `scenarios/judge.py`, which runs what stands here.

    python3 prepare.py FOLDER        FOLDER is made if absent; the last line printed is the path of the venv's python

Exit status: 0 ready, 1 it could not be made (the reason is the last line on stderr), 2 wrong arguments.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
OLDEST = (3, 9)
# These are Python 2 sources even in boto 2.49; the other scripts run on Python 3 as they are.
PYTHON2_SCRIPTS = ("elbadmin", "asadmin", "cwutil")
CONVERTED = "converted"
# Ansible's package holds every collection there is; one of them is wanted. ansible-core of the same age is in the requirements.
ANSIBLE = "ansible==11.13.0"
COLLECTION = "ansible_collections/amazon/aws/"
COLLECTIONS = "collections"
OLDEST_FOR_ANSIBLE = (3, 11)
READY = "ready"

# A .pth file, not sitecustomize: Debian's own sitecustomize comes first on the path and would hide ours.
SHIM_NAME = "boto_on_python3"
SHIM = '''\
"""Lets the unmodified boto 2.49 be imported by today's Pythons; does nothing in a process that never imports boto.

boto's copy of six has no find_spec (needed from Python 3.12 on), boto.plugin imports the removed `imp`, and elbadmin
imports `boto.compat.six`, which is no package in any Python (boto issue 3641).
"""
import sys
import types
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import spec_from_loader


class _Six(SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        sys.modules["boto.compat.six"] = module
        if sys.version_info >= (3, 12):
            sys.modules.setdefault("imp", types.ModuleType("imp"))
            importer = type(module._importer)
            importer.find_spec = _find_moved
            importer.create_module = lambda self, spec: self.load_module(spec.name)
            importer.exec_module = lambda self, module: None


def _find_moved(importer, name, path=None, target=None):
    return spec_from_loader(name, importer) if name in importer.known_modules else None


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "boto.vendored.six":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Six(name, spec.origin)
        return spec


sys.meta_path.insert(0, _Finder)
'''

# Run by the venv's own python, which has fissix where the interpreter has no lib2to3.
CONVERT = """\
import sys
try:
    from lib2to3.refactor import RefactoringTool, get_fixers_from_package
    fixers = "lib2to3.fixes"
except ImportError:
    from fissix.refactor import RefactoringTool, get_fixers_from_package
    fixers = "fissix.fixes"
tool = RefactoringTool(get_fixers_from_package(fixers))
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    with open(source, encoding="utf-8") as file:
        text = file.read()
    with open(target, "w", encoding="utf-8") as file:
        file.write(str(tool.refactor_string(text, source)))
"""


class Unable(Exception):
    """Why the environment could not be made, in one line."""


def main():
    if len(sys.argv) != 2:
        print("usage: prepare.py FOLDER", file=sys.stderr)
        return 2
    try:
        print(prepare(Path(sys.argv[1]).resolve()))
    except Unable as why:
        print("failed to prepare the clients: %s" % why, file=sys.stderr)
        return 1
    return 0


def prepare(folder):
    """The python of a ready environment inside `folder`; waits for whoever else is making it."""
    if sys.version_info < OLDEST:
        raise Unable("python %s is too old, the limit is %d.%d" % (platform.python_version(), *OLDEST))
    venv = folder / ("venv-%s-%s" % (fingerprint(), platform.python_version()))
    if is_ready(venv):
        return venv_python(venv)
    require_venv_module()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / (venv.name + ".lock"), "w")
    except OSError as why:
        raise Unable("cannot write `%s`: %s" % (folder, why)) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready(venv):
            make(venv, lock)
    return venv_python(venv)


def fingerprint():
    digest = hashlib.sha256()
    for source in (REQUIREMENTS, Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def venv_python(venv):
    return venv / "bin" / "python"


def is_ready(venv):
    """The mark is written last and by rename; the interpreter is asked for too, since the system may have removed it."""
    return (venv / READY).is_file() and os.access(venv_python(venv), os.X_OK)


def require_venv_module():
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise Unable(
                "python %s has no `%s` module; on Debian: apt install python3-venv" % (platform.python_version(), module)
            )


def make(venv, lock):
    if venv.exists():
        shutil.rmtree(venv)
    python = venv_python(venv)
    run(lock, "make a virtual environment", sys.executable, "-m", "venv", venv)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--no-input", "--quiet")
    run(lock, "install `%s` from PyPI" % REQUIREMENTS.name, *pip, "--requirement", REQUIREMENTS)
    add_shim(lock, python)
    convert_scripts(lock, venv)
    if sys.version_info >= OLDEST_FOR_ANSIBLE:
        add_collection(lock, venv)
    run(lock, "import boto", python, "-W", "ignore", "-c", "import boto.ec2.elb; from boto.compat.six import iteritems")
    mark = venv / (READY + ".new")
    mark.write_text("made by %s\n" % Path(__file__).name)
    os.rename(mark, venv / READY)


def add_shim(lock, python):
    site = Path(run(lock, "find site-packages", python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / (SHIM_NAME + ".py")).write_text(SHIM)
    (site / (SHIM_NAME + ".pth")).write_text("import %s\n" % SHIM_NAME)


def convert_scripts(lock, venv):
    target = venv / CONVERTED
    target.mkdir()
    pairs = []
    for script in PYTHON2_SCRIPTS:
        pairs += [venv / "bin" / script, target / script]
    run(lock, "convert boto's scripts", venv_python(venv), "-W", "ignore", "-c", CONVERT, *pairs)


def add_collection(lock, venv):
    with tempfile.TemporaryDirectory(dir=venv) as folder:
        pip = (venv_python(venv), "-m", "pip", "--disable-pip-version-check", "download", "--no-input", "--quiet")
        run(lock, "download `%s` from PyPI" % ANSIBLE, *pip, "--no-deps", "--only-binary", ":all:", "--dest", folder, ANSIBLE)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            wanted = [name for name in package.namelist() if name.startswith(COLLECTION)]
            package.extractall(venv / COLLECTIONS, wanted)


def run(lock, purpose, *command):
    """Runs one step and returns its stdout.

    The child keeps the lock open, so that a pip orphaned by a killed test still holds off whoever comes next.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        pass_fds=(lock.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise Unable("cannot %s (exit status %d)" % (purpose, done.returncode))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
