"""Compile the laboratory's arithmetic, book/_static/lab/network.c, to network_wasm.js beside it: `make lab`.

The compiler is Clang, as the package ziglang brings it. CI compares the committed file with what this makes.
"""

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "book" / "_static" / "lab"
SOURCE, PRODUCT = FOLDER / "network.c", FOLDER / "network_wasm.js"
EXPORTED = ("prepare", "forward", "predict", "best", "differentiate", "layout", "present", "__heap_base")
# Sums may be in any order, for vectors; NaN and infinity keep their meaning, for divergence is a result.
ARITHMETIC = ("-O3", "-msimd128", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
LINKER = ("--no-entry", "--strip-all", "--import-symbols", *(f"--export={name}" for name in EXPORTED))
HEADER = "// network.c, compiled to WebAssembly by `make lab`, in base64: a page opened from a file may load nothing but scripts.\n"


def product():
    """The text of network_wasm.js; raises CalledProcessError where the compiler refuses the source."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "network.wasm"
        options = ("-target", "wasm32-freestanding", "-nostdlib", "-Wall", "-Wextra", "-Werror", *ARITHMETIC)
        linked = [f"-Wl,{option}" for option in LINKER]
        command = [sys.executable, "-m", "ziglang", "cc", *options, *linked, "-o", program, SOURCE.name]
        subprocess.run(command, cwd=FOLDER, check=True)
        text = base64.b64encode(program.read_bytes()).decode()
    return f'{HEADER}export const NETWORK_WASM =\n  "{text}";\n'


if __name__ == "__main__":
    PRODUCT.write_text(product(), encoding="utf-8")
