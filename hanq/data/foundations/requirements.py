"""Checks at import whether the installed libraries meet the requirements in `pyproject.toml`; if not, warns and carries on."""

import warnings
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import InvalidRequirement, Requirement


def unmet(asked=None):
    """Return the requirements that are not met, each like "numpy>=1.26 (1.25.2 is installed)".

    asked: requirements in the notation of `pyproject.toml`. By default those of the installed hanq, or none if hanq is not
    installed but imported from a folder.
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
    """Warn if a requirement is not met."""
    missing = unmet()
    if missing:
        warnings.warn(f"hanq asks for {', '.join(missing)}: it may not work as it should", stacklevel=3)
