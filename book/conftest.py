"""Lets a bare `pytest --nbval book/` configure itself."""

import os
from pathlib import Path

BOOK = Path(__file__).parent


def pytest_configure(config):
    """Run notebooks in this environment, quietly, with this checkout's package."""
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(BOOK / "sanitize.cfg")
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BOOK.parent), os.environ.get("PYTHONPATH")]))
