"""Settings of the whole suite, made before anything is imported that they concern."""

import os
import runpy
import signal
from pathlib import Path

# Numba's cache knows when a function's own file changed, not when a file changed that it calls
# into: without this, tests would pass or fail on machine code of an earlier edit.
package = Path(__file__).parents[1] / "hanq"
cache = package / "__pycache__" / f"numba-{runpy.run_path(package / 'engines' / 'sources.py')['VERSION']:x}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))

import torch  # noqa: E402

torch.set_num_threads(1)  # the tests' tensors are small: threads would only wait for each other
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the suite with & has Ctrl-C ignored
