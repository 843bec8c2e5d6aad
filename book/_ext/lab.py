"""The laboratory's ES modules, each entry and what it imports put together as one classic script while the site is built.

A page opened from a file may load neither modules nor workers' files, only classic scripts.
"""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "_static" / "lab"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
PASSED_ON = re.compile(r'^export \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
LISTED = re.compile(r"^export \{([^}]*)\};$", re.MULTILINE)
DECLARED = re.compile(r"^export (?=(?:const|let|class|function\*?|async function) (\w+))", re.MULTILINE)
# The engine is both for the page and, as its own source, for the worker.
SCRIPTS = {"engine": "globalThis.hanqLab = { ...engine(), newWorker: () => hanqLab.startWorker(`(${engine})().serve(self)`) };"}


def names(listed):
    """The names between two braces; `a as b` is not for these modules."""
    return [name.strip() for name in listed.split(",") if name.strip()]


def modules(entry, sources=SOURCES, found=None):
    """{name: text} of a module and all that it imports, each after those it needs."""
    found = {} if found is None else found
    if entry not in found:
        text = (sources / f"{entry}.js").read_text(encoding="utf-8")
        for _, needed in IMPORT.findall(text) + PASSED_ON.findall(text):
            modules(needed, sources, found)
        found[entry] = text
    return found


def closed(name, text):
    """A module as a function called at once, whose result is what the module exports."""
    exported = DECLARED.findall(text) + [one for listed in LISTED.findall(text) for one in names(listed)]
    exported += [one for listed, _ in PASSED_ON.findall(text) for one in names(listed)]
    text = PASSED_ON.sub(r"const {\1} = module_\2;", text)
    text = IMPORT.sub(r"const {\1} = module_\2;", text)
    text = LISTED.sub("", DECLARED.sub("", text))
    if re.search(r"^(import|export)\b", text, re.MULTILINE):
        raise ValueError(f"{name}.js has an import or export that cannot be put together: write it as in agent.js or engine.js")
    return f"const module_{name} = (() => {{\n{text.strip()}\nreturn {{ {', '.join(exported)} }};\n}})();\n"


def script(entry, sources=SOURCES):
    """An entry as a classic script, which defines a function of its name, and runs it as SCRIPTS says, or once."""
    parts = [closed(name, text) for name, text in modules(entry, sources).items()]
    function = f'function {entry}() {{\n"use strict";\n{"".join(parts)}return module_{entry};\n}}\n'
    return f"(() => {{\n{function}{SCRIPTS.get(entry, f'{entry}();')}\n}})();\n"


def write(app, error):
    """Put the scripts beside the site's other files."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "lab"
        folder.mkdir(parents=True, exist_ok=True)
        for entry in ENTRIES:
            (folder / f"{entry}.bundle.js").write_text(script(entry), encoding="utf-8")


ENTRIES = ["engine"]


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
