"""What the theme and Docutils get wrong on every page, put right."""

# The theme reports an error on a reader's first page, because it finds no mode chosen. (Its own setting for that, default_mode, would take
# the colours from readers without JavaScript.)
MODE = 'document.documentElement.dataset.mode ||= "auto";'


def works_are_items(app, pagename, templatename, context, doctree):
    """Docutils puts works, with a role that is deprecated, into a list, which may hold items only."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.add_js_file(None, body=MODE)
    app.connect("html-page-context", works_are_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
