"""The four distributions as users get them: built, installed without an index, used elsewhere.

The commonest gap between "works here" and "works" is a file that only the clone has.
"""

import email
import json
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import diegod
from tests.repo import tree
from tools import lock

DISTRIBUTIONS = {"diegod", "diegod-runc", "diegod-docker", "diegod-windows-hcs"}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One wheel a distribution, made by the pinned build backend."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in lock.project_files(tree.ROOT):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
        subprocess.run([*command, str(folder)], cwd=project.parent, check=True, capture_output=True)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command in a fresh environment that has the wheels, and knows nothing of the clone.

    pip resolves for real, without an index: what our wheels ask for must be there, in versions that
    they accept. It is there because the lock's packages are lent to the environment, ours excepted.
    """
    home = tmp_path_factory.mktemp("stranger")
    environment = {"PATH": f"{home}/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}

    def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    run(sys.executable, "-m", "venv", "--without-pip", "venv")
    lend_packages(home / "venv", home / "lent")
    names = [f"{name}[runc,docker]" if name == "diegod" else name for name in sorted(DISTRIBUTIONS)]
    folder = str(wheels[0].parent)
    run(
        "python",
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-cache-dir",
        "--find-links",
        folder,
        *names,
    )
    return run


def lend_packages(environment: Path, lent: Path) -> None:
    """Puts the outside packages of this run's environment into the other one's path.

    As links in a folder of their own, so that neither our editable installs nor their .pth files
    come along.
    """
    lent.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "diegod" not in entry.name and entry.suffix != ".pth":
            (lent / entry.name).symlink_to(entry)
    [site_packages] = environment.glob("lib/python*/site-packages")
    (site_packages / "lent.pth").write_text(f"{lent}\n")


def test_there_is_one_wheel_a_distribution(wheels: list[Path]) -> None:
    assert {metadata(wheel)["Name"] for wheel in wheels} == DISTRIBUTIONS
    assert all(wheel.name.endswith("-py3-none-any.whl") for wheel in wheels)


def test_the_wheel_holds_all_of_the_package_and_nothing_else(wheels: list[Path]) -> None:
    [wheel] = [wheel for wheel in wheels if metadata(wheel)["Name"] == "diegod"]
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {name for name in map(tree.name_of, tree.all_files()) if name.startswith("diegod/")}
    assert held == {name for name in package if not name.endswith(".pyc")}
    assert {"diegod/v1/task.proto", "diegod/py.typed"} <= held


def test_a_wheel_has_its_licence_and_asks_for_the_same_as_the_others(wheels: list[Path]) -> None:
    for wheel in wheels:
        about = metadata(wheel)
        assert about["License-Expression"] == "Apache-2.0"
        assert about["Requires-Python"] == ">=3.11"
        assert about["Version"] == metadata(wheels[0])["Version"]


def metadata(wheel: Path) -> "email.message.Message[str, str]":
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(archive.read(name))


def test_the_installed_package_is_not_the_clones(installed: Run) -> None:
    shown = installed("python", "-c", "import diegod; print(diegod.__file__)").stdout
    assert str(tree.ROOT) not in shown
    assert "/stranger" in shown


def test_nothing_that_it_asks_for_is_missing(installed: Run) -> None:
    assert installed("python", "-m", "pip", "check").stdout == "No broken requirements found.\n"


def test_version_is_said_and_nothing_else(installed: Run) -> None:
    said = installed("diegod", "version")
    assert diegod.__version__ in said.stdout
    assert said.stderr == ""


def test_the_plugins_are_found_by_their_entry_points(installed: Run) -> None:
    lines = installed("diegod", "plugin", "ls", "-o", "json").stdout.splitlines()
    found = {json.loads(line).get("distribution") for line in lines}
    assert found >= DISTRIBUTIONS


def test_an_unknown_command_is_one_line(installed: Run) -> None:
    said = installed("diegod", "fly", check=False)
    assert said.returncode == 2
    assert "Traceback" not in said.stderr


@pytest.mark.root
@pytest.mark.parametrize("backend", ["runc", "exec"])
def test_a_cluster_of_the_wheels_runs_a_task(installed: Run, backend: str) -> None:
    """What a user does first, without the clone: `diegod dev`, then a task."""
    name = f"wheels-{backend}"
    installed("diegod", "dev", "--detach", "--name", name, "--backend", backend)
    try:
        ran = installed("diegod", "task", "run", "sh", "-c", "echo hello; exit 3", check=False)
        assert (ran.stdout, ran.returncode) == ("hello\n", 3), ran.stderr
    finally:
        installed("diegod", "dev", "stop", "--name", name)
        installed("diegod", "dev", "rm", "--name", name)
