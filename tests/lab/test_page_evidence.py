"""The committed curves are shown seed by seed, and the ledger sorts, filters and leads to them."""

from browsing import LAB_PAGE, status


def test_the_committed_curves_are_shown_seed_by_seed(visit):
    card = visit("light").locator("[data-preset=evidence]")
    card.get_by_text("Averaged over training, seed 3 scores").wait_for()
    assert card.get_by_label("Algorithm", exact=True).evaluate("one => one.selectedOptions[0].text") == "HANQ"
    curve = next(one for one in LAB_PAGE["curves"](folders=["fig3a"]) if one["result"] == "fig3a/SSAQ" and one["learningRate"] == 1e-4)
    card.get_by_label("Algorithm", exact=True).select_option("predictor one number; norm none; β = 0.001; fixed, κ = 0")
    card.get_by_label("Learning rate", exact=True).press("Home")
    card.get_by_label("Seed", exact=True).fill("7")
    shown = card.locator(".hanq-lab-status").inner_text()
    assert f"seed 7 scores {curve['seeds'][7].mean():.3g}, " in shown
    assert f"Seeds below 50: {(curve['seeds'].mean(1) < 50).sum()} of 30" in shown
    assert card.locator("path.faint").count() == 30


ROW = "<tr><td>{}</td><td><p>{}</p></td><td>1</td><td>{}</td><td>{}</td></tr>"
FILES = "<tr><td><p>{}</p></td><td>α</td><td>1</td><td><code>{}.nc</code></td><td>tuned</td></tr>"
FOLD = """<details><summary>{}</summary><table><thead><tr><th>agreement</th><th></th><th>ours</th><th>the paper’s</th>
<th>difference</th></tr></thead><tbody>{}</tbody></table><details><summary>Settings, cost and files</summary>
<table><thead><tr><th></th><th>chosen</th><th>core minutes</th>
<th>result file</th><th>protocol</th></tr></thead><tbody>{}</tbody></table></details></details>"""
PENDULUM = [
    ("● overlaps", "DQN, no target network", "30.0 (22.1 to 37.0)", "-3.2 (-14.7 to +9.3)", "table1/Pendulum-DQN-target_rate=1"),
    ("○ ours lower", "HANQ", "100.1 (98.0 to 102.2)", "+0.7 (-3.6 to +4.0)", "table1/Pendulum-HANQ-hyper_lr=0.1"),
]
SEAQUEST = [("– smaller run", "HANQ, κ = 0", "90.5 (85.6 to 95.4)", "", "seaquest/HANQ")]


def ledger(site):
    """A page with the ledger's tables as the chapter has them."""
    tables = (("Table 1: HANQ and DQN, Pendulum: 1 of 2 overlap", PENDULUM), ("Table 5: Seaquest: not of the paper's size", SEAQUEST))
    folds = []
    for title, rows in tables:
        scores = "".join(ROW.format(*row[:4]) for row in rows)
        folds.append(FOLD.format(title, scores, "".join(FILES.format(row[1], row[4]) for row in rows)))
    body = f'<div class="hanq-lab" data-preset="ledger"></div>{"".join(folds)}<table><tr><td>another</td></tr></table>'
    (site / "ledger.html").write_text((site / "one.html").read_text().replace("<h1>Laboratory</h1>", body))


def test_the_ledger_sorts_and_filters(site, visit):
    ledger(site)
    page = visit("ledger")
    card = page.locator("[data-preset=ledger]")

    def names():
        return card.locator("tbody tr:visible td:nth-child(3)").all_inner_texts()

    dqn, hanq, seaquest = (row[1] for row in PENDULUM + SEAQUEST)
    assert (
        page.locator("table").count() == 2
        and page.get_by_text("Settings, cost and files").count() == 0
        and names() == [dqn, hanq, seaquest]
    )
    assert card.locator("td:first-child").all_inner_texts() == ["Table 1, Pendulum", "Table 1, Pendulum", "Table 5, Seaquest"]
    for heading, wanted in (
        ("the paper's", [dqn, seaquest, hanq]),
        ("the paper's", [hanq, seaquest, dqn]),
        ("difference", [dqn, hanq, seaquest]),
    ):
        card.get_by_role("button", name=heading).click()
        assert names() == wanted
    assert card.locator("th[aria-sort=ascending]").inner_text().startswith("difference")
    card.get_by_label("Agreement", exact=True).select_option("○ ours lower")
    assert names() == [hanq]
    card.get_by_label("Agreement", exact=True).select_option("all")
    card.get_by_label("Search", exact=True).fill("hanq pendulum")
    assert names() == [hanq] and status(page, "ledger") == "1 of 3 rows."


def test_a_row_of_the_ledger_opens_its_curves_and_an_address_does_too(site, visit):
    ledger(site)
    page = visit("ledger")
    page.get_by_role("link", name=PENDULUM[0][1]).click()
    dialog = page.get_by_role("dialog", name="Table 1: HANQ and DQN, Pendulum: DQN, no target network")
    curve = LAB_PAGE["ledger"](folders=["table1"])[PENDULUM[0][4]]
    dialog.get_by_label("Seed", exact=True).fill("7")
    dialog.get_by_text(f"seed 7 scores {curve['seeds'][7].mean():.3g}, ").wait_for()
    assert dialog.locator("path.faint").count() == 30 and "Setting chosen: α; core minutes: 1; protocol: tuned." in dialog.inner_text()
    address = page.url
    page.keyboard.press("Escape")
    assert not dialog.is_visible() and "#" not in page.evaluate("location.href")
    again = visit("ledger", "#" + address.partition("#")[2])
    again.get_by_role("dialog", name="DQN, no target network").get_by_role("button", name="Close").click()
    assert again.get_by_role("link", name=SEAQUEST[0][1]).get_attribute("href") == "seaquest.html"


def test_each_stored_learning_rate_has_one_place_on_the_slider(visit):
    card = visit("light").locator("[data-preset=evidence]")
    card.get_by_text("Averaged over training, seed 3 scores").wait_for()
    for label in card.get_by_label("Algorithm", exact=True).evaluate("one => [...one.options].map((option) => option.text)"):
        card.get_by_label("Algorithm", exact=True).select_option(label)
        slider, seen = card.get_by_label("Learning rate", exact=True), []
        slider.press("Home")
        for _ in range(int(slider.get_attribute("max")) + 1):
            seen.append(slider.get_attribute("aria-valuetext"))
            slider.press("ArrowRight")
        assert len(seen) == len(set(seen)), label
