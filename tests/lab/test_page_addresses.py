"""An address sets the laboratory up and gives the same run again; what it or a page asks for in vain is named."""

from browsing import points, status, train


def test_an_address_sets_everything_and_gives_the_same_run_again(visit):
    page = visit("one", "#seed=3")
    page.get_by_label("Algorithm", exact=True).first.select_option("SSAQ")
    page.get_by_label("Learning rate", exact=True).first.press("ArrowRight")
    page.get_by_label("Compare two", exact=True).check()
    page.get_by_label("Algorithm", exact=True).nth(1).select_option("DQN, no target")
    page.get_by_text("Its parts").nth(1).click()
    page.get_by_label("Norm of the main path", exact=True).nth(1).select_option("LayerNorm")
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_label("Seed", exact=True).press("Tab")
    page.get_by_label("Steps", exact=True).select_option("2000")
    first = train(page)
    again = visit("one", "#" + page.url.partition("#")[2])
    assert again.locator("select").evaluate_all("all => all.map((one) => one.value)") == page.locator("select").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    second = train(again)
    assert len(first) == len(second) == 2 and first[0] != first[1]
    for one, other in zip(first, second, strict=True):
        assert [{**point, "seconds": 0} for point in one] == [{**point, "seconds": 0} for point in other]


def test_an_address_that_asks_for_something_unknown_says_so(visit):
    page = visit("one", "#algorithm=HANK&lr=-1.7&seed=3&steps=2000")
    said = "algorithm=HANK (now HANQ), lr=-1.7 (now -1.5)"
    assert status(page) == f"The address asks for what the laboratory does not have: {said}."
    page.evaluate("location.hash = 'algorithm=SSAQ&lr=-3&seed=5'")
    page.wait_for_function("document.querySelector('select').value === 'SSAQ'")
    assert status(page) == "Nothing has been trained yet." and page.get_by_label("Seed", exact=True).input_value() == "5"


def test_an_unknown_preset_is_named_and_leaves_the_picture(site, browser):
    unknown = (site / "one.html").read_text().replace('data-preset="laboratory"', 'data-preset="chess"')
    (site / "unknown.html").write_text(unknown)
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto((site / "unknown.html").as_uri())
    assert page.locator(".hanq-lab img").is_visible() and page.locator(".hanq-lab-card").count() == 0
    assert said[0].startswith('data-preset="chess" is unknown: use one of laboratory, race, ')
    page.close()


def test_parts_and_words_that_do_not_exist_are_named(visit):
    said = "The address asks for what the laboratory does not have: {}."
    assert status(visit("one", "#algorithm=HANQ&predictor=two&sed=4")) == said.format("predictor=two, sed=4")
    assert status(visit("one", "#algorithm=constructor")) == said.format("algorithm=constructor (now HANQ)")


def test_a_link_within_the_page_leaves_the_run_alone(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=2000")
    before = train(page)
    page.evaluate("location.hash = 'what-there-is-to-see'")
    page.wait_for_timeout(300)
    assert points(page) == before
