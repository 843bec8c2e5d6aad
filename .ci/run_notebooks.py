"""Run notebooks and store their outputs, without the times of the run, which `jupyter execute` would keep too."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

for path in map(Path, sys.argv[1:]):
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    where = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=None, record_timing=False, coalesce_streams=True, resources=where).execute()
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)
    print(path)
