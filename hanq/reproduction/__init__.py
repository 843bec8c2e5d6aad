"""The paper's tables and figures as literals, how each is searched and reported, and every printed score beside ours."""
