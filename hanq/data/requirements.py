"""Whether the installed libraries are what `pyproject.toml` asks for: said once at import, and then tried all the same."""

import warnings
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import InvalidRequirement, Requirement


def unmet(asked=None):
    """What is asked for and not there, as "numpy>=1.26 (1.25.2 is installed)".

    asked: requirements as `pyproject.toml` has them; default: those of the installed hanq, none where it runs from a plain folder.
    """
    try:
        asked = requires("hanq") or [] if asked is None else asked
    except PackageNotFoundError:
        return []
    found = []
    for text in asked:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            found.append(f"{wanted.name}{wanted.specifier} (not installed)")
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            found.append(f"{wanted.name}{wanted.specifier} ({installed} is installed)")
    return found


def check():
    """Warn of what is not there as it is asked for."""
    missing = unmet()
    if missing:
        warnings.warn(f"hanq asks for {', '.join(missing)}: it may not work as it should", stacklevel=3)
