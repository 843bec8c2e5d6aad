"""What Docutils writes that screen readers cannot read."""


def works_are_items(app, pagename, templatename, context, doctree):
    """Docutils puts works, with a role that is deprecated, into a list, which may hold items only."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.connect("html-page-context", works_are_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
