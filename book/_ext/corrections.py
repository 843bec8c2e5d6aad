"""What the theme, Docutils and MathJax get wrong on every page, put right."""

import re

# The theme reports an error on a reader's first page, because it finds no mode chosen. (Its own setting for that, default_mode, would take
# the colours from readers without JavaScript.)
MODE = 'document.documentElement.dataset.mode ||= "auto";'

FORMULA = r'<span class="math notranslate nohighlight">[^<]*</span>'
WORD = re.compile(rf"(?<![^\s>])(?:[^\s<>]+{FORMULA}[^\s<>]*|{FORMULA}[^\s<>]+)")  # a formula with a bracket, a comma, or the rest of a word


def works_are_items(app, pagename, templatename, context, doctree):
    """Docutils puts works, with a role that is deprecated, into a list, which may hold items only."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def formulas_keep_their_punctuation(app, pagename, templatename, context, doctree):
    """A browser may end a line between a formula of MathJax's and what touches it, such as the comma that follows."""
    if "body" in context:
        context["body"] = WORD.sub(r'<span class="hanq-together">\g<0></span>', context["body"])


def setup(app):
    app.add_js_file(None, body=MODE)
    app.connect("html-page-context", works_are_items)
    app.connect("html-page-context", formulas_keep_their_punctuation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
