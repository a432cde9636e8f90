"""Oracle's MySQL, from packages of Debian or Ubuntu unpacked in a folder; nothing is installed.

    python -m tests.oracle_mysql FOLDER

prints the path of the server's program, for DIGITS_TEST_MYSQLD, or says why there is none.  It
takes 60 MB of packages from the mirror that apt has here, and 330 MB in the folder.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "mysql-server-core"
KEYRING = "/usr/share/keyrings/{}-archive-keyring.gpg"


class NotToBeHad(Exception):
    """Oracle's MySQL cannot be fetched on this machine."""


def fetch(folder: Path) -> Path:
    """Return the server's program, fetched unless it is in the folder already.

    Raises NotToBeHad.
    """
    program = folder.resolve() / "mysqld"
    if not program.exists():  # it is written last
        root = program.parent / "root"
        for package in _download(program.parent):
            _run("dpkg", "-x", str(package), str(root))
        shutil.rmtree(program.parent / "apt")
        _write_program(program, root)
    return program


def _download(folder: Path) -> list[Path]:
    """Have apt fetch the server and all it needs, down to the C library; return the packages.

    All that apt keeps is in a folder of its own, and there no package is installed.
    """
    state = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(_source())
    (state / "status").touch()
    options = {
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # or apt's own user would need a way to the folder
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run("apt-get", *words, "--error-on=any", "update")
    names = _run("apt-cache", *words, "pkgnames", PACKAGE).split()
    if not names:
        raise NotToBeHad(f"apt knows no package {PACKAGE}")
    newest = max(names)  # Ubuntu writes the version behind it
    _run("apt-get", *words, "install", "-y", "--download-only", "--no-install-recommends", newest)
    return sorted((state / "cache/archives").glob("*.deb"))


def _source() -> str:
    """Where MySQL is: in Debian's unstable suite, on the mirror that apt has here, or in Ubuntu."""
    form = "$(ORIGIN) $(LABEL) $(CODENAME) $(REPO_URI)"
    targets = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    for target in targets.splitlines():
        origin, label, codename, *uri = target.split()
        if origin == label and origin in ("Debian", "Ubuntu") and len(uri) == 1:
            suite = "unstable" if origin == "Debian" else codename
            return f"deb [signed-by={KEYRING.format(origin.lower())}] {uri[0]} {suite} main\n"
    raise NotToBeHad("apt knows no mirror of Debian or Ubuntu; run apt-get update first")


def _write_program(program: Path, root: Path) -> None:
    """Write a script that runs the server with the C library that came with it."""
    (loader,) = root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    words = [loader, "--library-path", loader.parent, root / "usr/sbin/mysqld"]
    command = shlex.join(map(str, words))
    # Behind the others, of which --no-defaults must be the first.
    basedir = shlex.quote(f"--basedir={root / 'usr'}")
    program.write_text(f'#!/bin/sh\nexec {command} "$@" {basedir}\n')
    program.chmod(0o755)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except FileNotFoundError:
        raise NotToBeHad(
            f"{command[0]} is not installed; on another system than Debian or Ubuntu, set"
            " DIGITS_TEST_MYSQLD to the program of a server"
        ) from None
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{command[0]} took longer than ten minutes; try again") from None
    if done.returncode:
        raise NotToBeHad(f"{command[0]} says: {' '.join(done.stderr.split()).rstrip('.')}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(fetch(Path(sys.argv[1])))
    except NotToBeHad as reason:
        sys.exit(f"No MySQL of Oracle's: {reason}.")
