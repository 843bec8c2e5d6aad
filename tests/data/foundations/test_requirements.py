"""Promise: a library that is missing, or older than `pyproject.toml` asks for, is named at import, once, and hanq goes on."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from hanq.data.foundations import requirements


@pytest.mark.parametrize(
    "asked, said",
    [
        ("numpy>=1.26", None),
        ("numpy>=99", f"numpy>=99 ({np.__version__} is installed)"),
        ("numpy<1", f"numpy<1 ({np.__version__} is installed)"),
        ("no-such-library>=1.0", "no-such-library>=1.0 (not installed)"),
        ('numpy>=99; python_version < "3"', None),
        ('numpy>=99; extra == "box2d"', None),
        ("not a requirement at all !", None),
    ],
)
def test_what_is_not_met_is_named_with_what_is_installed(asked, said):
    assert requirements.unmet([asked]) == ([said] if said else [])


def test_here_everything_is_met():
    assert requirements.unmet() == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        requirements.check()


def test_a_warning_names_it_at_import_and_the_rest_goes_on():
    program = (
        "import importlib.metadata as metadata; found = metadata.version\n"
        "metadata.version = lambda name: '0.0.1' if name == 'gymnasium' else found(name)\n"
        "import hanq, hanq.training.train; print(hanq.collect('Pendulum', [0], size=3).size)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
    assert done.stderr.count("hanq asks for gymnasium>=1.1 (0.0.1 is installed): it may not work as it should") == 1
