"""The harness's figures, at the end of whatever ran of it."""

GREATEST = ("most memory grown by, MB", "slowest answer to Ctrl-C, seconds")  # the others are added


def pytest_terminal_summary(terminalreporter):
    figures = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if "tests/faults/" in getattr(report, "nodeid", "") and getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    figures.setdefault(name, []).append(value)
    if figures:
        terminalreporter.section("faults")
    for name, values in figures.items():
        terminalreporter.line(f"{name}: {max(values):.1f}" if name in GREATEST else f"{name}: {sum(values):,}")
