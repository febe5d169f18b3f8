"""Each peer in an environment of its own, made here from its pinned requirements.

The environment also sees the packages of the one that makes it, behind its own: a pin that is installed there
in the same version (torch, above all) is used as it is, every other one is fetched. So all run on the same
torch, and a peer costs megabytes instead of gigabytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / ".envs"


class Unavailable(Exception):
    """This peer cannot take part; the message says why, with the versions that were tried."""


def python_of(name: str) -> Path:
    """The interpreter of the peer's environment; raises Unavailable when its packages cannot be had."""
    requirements = HERE / "requirements" / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        venv.create(folder, clear=True, with_pip=True)
        own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        (Path(own) / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
        _install(python, requirements)
        stamp.write_text(wanted)
    return python.absolute()


def _install(python: Path, requirements: Path) -> None:
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [*command, "--require-hashes", "--requirement", str(requirements)], capture_output=True, text=True
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"pip: {' '.join(said) or done.stderr[-300:]} ({', '.join(pins(requirements))})")


def pins(requirements: Path) -> list[str]:
    """The `name==version` of the .in file's packages, as they are locked."""
    asked = (line.split("==")[0].split("[")[0] for line in _lines(requirements.with_suffix(".in")))
    wanted = {name.replace("_", "-") for name in asked}
    locked = (line.split(" ")[0] for line in _lines(requirements))
    return [pin for pin in locked if pin.split("==")[0].replace("_", "-") in wanted]


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and line[0] not in " #"]


def versions(name: str) -> list[str]:
    """What the results say of this peer: its own packages with their versions."""
    return pins(HERE / "requirements" / f"{name}.txt")
