"""What is installed, shipped and written down: floors, lock, wheel, image; nothing of anybody's machine."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-ray.txt"]

# Lowest version without the fault -> what the fault is. A scanner is not enough: where its database
# lacks an entry it prints "no known vulnerabilities".
FLOORS = {
    "pillow": ("13.0.0", "GHSA-5x8w-8jj5-q52h"),
    "python-multipart": ("0.0.31", "CVE-2026-53540"),
    "starlette": ("1.6", "request bodies"),
    "torch": ("2.10", "CVE-2026-24747"),
}

# Where packages come from is the business of who installs them. Written as patterns, so that this file
# does not hold the names either.
REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]|download[.]pytorch|registry[.]npmjs|deb[.]debian|"
    r"\b(docker|quay|nvcr|ghcr|gcr)[.]io\b|--(extra-)?index-url[ =]+\w+:|--find-links[ =]+[\w/.]",
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(r"(?<![\w.:/])/(root|work|Users|home/\w+|opt/wheels)/\w")


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared() -> dict[str, Requirement]:
    requirements = map(Requirement, pyproject()["project"]["dependencies"])
    return {canonicalize_name(r.name): r for r in requirements}


def lock_entries(name: str) -> list[str]:
    """The logical lines of a lock: `name==version ; marker --hash=… --hash=…`."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def locked(name: str) -> dict[str, Version]:
    found = {}
    for entry in lock_entries(name):
        requirement = Requirement(entry.split("--hash")[0])
        (pin,) = requirement.specifier
        assert pin.operator == "==", entry
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def tracked(*paths: str) -> list[Path]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout: what is tracked cannot be listed")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


@pytest.mark.parametrize("name", FLOORS)
def test_a_security_floor_stands_with_its_reason(name: str) -> None:
    floor, reason = FLOORS[name]
    lower_bounds = [Version(s.version) for s in declared()[name].specifier if s.operator == ">="]
    assert lower_bounds and max(lower_bounds) >= Version(floor)
    (line,) = [n for n in (ROOT / "pyproject.toml").read_text().splitlines() if f'"{name}>=' in n]
    assert reason in line


def test_everything_that_is_imported_is_declared() -> None:
    """Not only what another package happens to bring: that one may stop to."""
    imported = set()
    for file in [*(ROOT / "app").rglob("*.py"), *(ROOT / "models").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    distributions = metadata.packages_distributions()
    extras = pyproject()["project"]["optional-dependencies"].values()
    known = {*declared(), *(canonicalize_name(Requirement(each).name) for extra in extras for each in extra)}
    known |= {"pydantic-core"}  # half of pydantic, which pins it
    imported -= {*sys.stdlib_module_names, "app", "models"}
    names = {
        module: {canonicalize_name(name) for name in distributions.get(module, [])} for module in imported
    }
    assert {module for module, of in names.items() if of and not of & known} == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_satisfies_every_declared_minimum(lock: str) -> None:
    pins = locked(lock)
    for name, requirement in declared().items():
        assert pins[name] in requirement.specifier, f"{lock} pins {name} {pins[name]}, wanted {requirement}"


def test_the_development_lock_holds_the_runtime_lock() -> None:
    runtime, development, ray = map(locked, LOCKS)
    assert runtime.items() <= development.items()
    assert {name: ray[name] for name in ray.keys() & development}.items() <= development.items()
    for extra in pyproject()["project"]["optional-dependencies"].values():
        for requirement in map(Requirement, extra):
            if requirement.name != "candid":
                assert (ray | development)[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_file_has_hashes_and_no_address(lock: str) -> None:
    for entry in lock_entries(lock):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
        assert not re.match(r"-|\.|/", entry), entry
    assert "://" not in (ROOT / lock).read_text()


def test_the_build_backend_is_the_locked_one() -> None:
    # The Makefile builds without isolation, so the backend has to be what the lock installs.
    (backend,) = map(Requirement, pyproject()["build-system"]["requires"])
    assert str(backend.specifier) == f"=={locked(LOCKS[0])[backend.name]}"


def test_no_tracked_file_names_a_registry_or_somebodys_machine() -> None:
    for file in tracked():
        content = file.read_bytes()
        if b"\0" in content or file.is_relative_to(ROOT / "app" / "web" / "docs"):
            continue
        for number, line in enumerate(content.decode().splitlines(), 1):
            where = f"{file.relative_to(ROOT)}:{number}: {line[:120]}"
            assert not REGISTRIES.search(line), where
            assert not MACHINE_PATHS.search(line), where


@pytest.mark.slow
def test_the_wheel_holds_everything_that_app_and_models_need(tmp_path: Path) -> None:
    needed = tracked("app", "models")
    source = tmp_path / "source"
    for file in [*needed, *tracked("pyproject.toml", "README.md", "LICENSE")]:
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    build = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*build, "--wheel-dir", str(tmp_path), str(source)], capture_output=True, text=True, cwd=tmp_path
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("candid-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {str(file.relative_to(ROOT)) for file in needed} - inside == set()
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == {"app", "models"}


def test_the_installed_command_is_this_project() -> None:
    distribution = metadata.distribution("candid")
    assert distribution.version == pyproject()["project"]["version"]
    (command,) = [e for e in distribution.entry_points if e.group == "console_scripts"]
    assert command.name == "candid" and callable(command.load())


def test_the_image_runs_as_nobody_in_particular_and_knows_when_it_is_ready() -> None:
    final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)", final, re.MULTILINE)
    # A number, because Kubernetes' runAsNonRoot cannot judge a name.
    assert users and users[-1].partition(":")[0].isdigit() and int(users[-1].partition(":")[0]) > 0
    assert re.search(r"^HEALTHCHECK .*(\\\n.*)*/readyz", final, re.MULTILINE)


def test_the_image_is_made_without_history_environments_or_secrets() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    # Everything is left out and what is needed let in, so that a new secret file cannot slip in.
    assert ignored[0] == "*"
    assert not {"!.git", "!.venv", "!.env"} & set(ignored)


def test_ci_runs_what_everybody_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^(exec )?make test$", script.read_text(), re.MULTILINE)


def test_a_commit_is_checked_as_ci_checks_it() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"] for hook in repository["hooks"]]
    makefile = (ROOT / "Makefile").read_text()
    made = [
        line.strip().replace("$(BIN)", ".venv/bin")
        for target in ("lint", "typecheck")
        for line in re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[0].splitlines()
    ]
    assert made == hooks
    for target in ("test", "check"):
        assert re.search(rf"^{target}: lint typecheck ##", makefile, re.MULTILINE)


def test_what_only_torch_needs_is_named_as_the_lock_names_it() -> None:
    """`make small` and the CPU image leave these out; a name gone stale would keep gigabytes."""
    names = locked("requirements.txt")
    for pattern in (ROOT / "deploy" / "torch-only.txt").read_text().split():
        assert any(re.fullmatch(pattern, name) for name in names), pattern
