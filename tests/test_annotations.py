"""Promise: what `import hanq` gives is annotated, so that editors and type checkers know it (`make lint` checks the annotations)."""

import inspect
from pathlib import Path

import pytest

import hanq


def public_functions():
    """Every function and method that a user of `import hanq` calls, by name."""
    found = {}
    for name in hanq.__all__:
        one = getattr(hanq, name)
        if inspect.isclass(one):
            methods = inspect.getmembers(one, lambda member: inspect.isroutine(member) or isinstance(member, property))
            found |= {f"{name}.{method}": value for method, value in methods if method in vars(one) and not method.startswith("_")}
        elif callable(one):
            found[name] = one
    return found


@pytest.mark.parametrize("name", sorted(public_functions()))
def test_every_argument_and_result_has_its_type(name):
    function = public_functions()[name]
    function = getattr(function, "fget", None) or getattr(function, "func", None) or inspect.unwrap(function)  # of a property
    signature = inspect.signature(function)
    arguments = {name: one.annotation for name, one in signature.parameters.items() if name not in ("self", "cls")}
    assert inspect.Signature.empty not in (signature.return_annotation, *arguments.values())


def test_users_type_checkers_are_told():
    assert (Path(hanq.__file__).parent / "py.typed").exists()
