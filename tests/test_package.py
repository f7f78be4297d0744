"""What a user meets first: a light import, public names that exist, and a wheel that carries its data."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bipstudy

ROOT = Path(bipstudy.__file__).parents[2]
HEAVY = ("pandas", "numpy", "matplotlib", "scipy", "statsmodels", "sklearn", "lifelines", "numba", "pandera", "pyarrow")


def modules_after(statement):
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    assert not set(HEAVY) & modules_after("import bipstudy")


def test_the_help_of_the_command_line_imports_nothing_heavy():
    statement = "import bipstudy.cli"
    assert not set(HEAVY) & modules_after(statement)


@pytest.mark.parametrize("name", [name for name in bipstudy.__all__ if not name.startswith("_")])
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(bipstudy, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bipstudy.nothing


def test_the_wheel_carries_the_schemas(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sent = {path.relative_to(ROOT).as_posix() for path in (ROOT / "data_schemas").rglob("*.yaml")}
    assert {f"bipstudy/{name}" for name in sent} <= names
    package_data = {
        path.relative_to(ROOT / "src").as_posix()
        for pattern in ("*.yaml", "*.j2", "*.css", "py.typed")
        for path in (ROOT / "src").rglob(pattern)
    }
    assert package_data <= names
