"""How the API page shows a field: with its type, and with a value only where it has a default that says something."""

from autodoc2.render.myst_ import MystRenderer


class Renderer(MystRenderer):
    def render_data(self, item):
        lines = list(super().render_data(item))
        value = item.get("value")
        if value is None or str(value).startswith("field("):
            start = lines.index(":value: >")
            del lines[start : start + 2]
        return lines


def setup(app):
    return {"parallel_read_safe": True}
