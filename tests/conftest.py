"""Settings of the whole suite, made before anything is imported that they concern."""

import os
import runpy
import shutil
import signal
from pathlib import Path

# Numba's cache knows when a function's own file changed, not when a file changed that it calls
# into: without this, tests would pass or fail on machine code of an earlier edit.
package = Path(__file__).parents[1] / "hanq"
cache = package / "__pycache__" / f"numba-{runpy.run_path(package / 'engines' / 'sources.py')['VERSION']:x}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)  # the tests' tensors are small: threads would only wait for each other
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the suite with & has Ctrl-C ignored


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a process: Playwright cannot be started a second time while it runs."""
    library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -r requirements.txt")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed here: apt-get install chromium")
    with library.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        yield playwright.chromium.launch(executable_path=chromium, args=arguments)
