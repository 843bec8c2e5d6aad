"""The small laboratories answer the questions of their chapters."""

from browsing import status, train


def test_a_prediction_is_judged_by_the_run_that_it_is_about(visit):
    page = visit("light")
    card = page.locator("[data-preset=collapse]")
    card.get_by_label("With", exact=True).check()
    found = train(page, "collapse")
    means = [sum(point["score"] for point in one) / len(one) for one in found]
    assert means[0] > means[1] + 5 and status(page, "collapse").startswith("As you said: With. DQN scored ")
    card.get_by_label("Without", exact=True).check()
    train(page, "collapse", again=True)
    assert status(page, "collapse").startswith("Not this time. You said: Without. DQN scored ")
    card.get_by_label("Steps", exact=True).select_option("2000")
    train(page, "collapse")
    assert status(page, "collapse").startswith("The question is about other settings. Step 2,000")


def test_the_semi_gradient_diverges_at_a_small_step_too(visit):
    page = visit("light")
    card = page.locator("[data-preset=baird]")
    card.get_by_label("It diverges too, only later", exact=True).check()
    card.get_by_label("Step size", exact=True).press("Home")
    card.get_by_role("button", name="Run").click()
    assert status(page, "baird").startswith("As you said: It diverges too, only later. At a step size of 2.0e−4")


def test_the_corridor_turns_left_where_the_chapter_says(visit):
    corridor = visit("light").locator("[data-preset=corridor]")
    for scale, way in ((1, "right"), (1.2, "right"), (1.3, "left")):
        corridor.get_by_label("Scale ω", exact=True).fill(str(scale))
        assert f"goes {way}" in corridor.locator(".hanq-lab-status").inner_text()
        near, far = 1 / scale, 2 * (0.99 / scale) ** 3 / scale  # as in the chapter: three steps, then a reward of 2
        first_state = corridor.locator("svg text").all_text_contents()[:3]
        assert first_state == ["→" if way == "right" else "←", f"{near:.2f}", f"{far:.2f}"]


def test_the_corridor_is_walked_by_keyboard(visit):
    corridor = visit("light").locator("[data-preset=corridor]")
    slider = corridor.get_by_label("Scale ω", exact=True)
    slider.focus()
    slider.press("Home")
    for _ in range(26):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1.26, a discount of 0.786"
    assert "goes left" in corridor.locator("svg").get_attribute("aria-label")


def test_pauses_and_single_steps_change_no_verdict(visit):
    page = visit("light")
    card = page.locator("[data-preset=asymmetry]")
    steps = "document.querySelector('[data-preset=asymmetry]').hanqLab.session.steps"
    for done in range(1, 6):
        card.get_by_role("button", name="One step").click()
        page.wait_for_function(f"{steps} === {done}")
    found = train(page, "asymmetry")
    regular = [[point["score"] for point in one if point["gradientStep"] % 100 == 0] for one in found]
    assert [len(one) for one in found] == [105, 105] and [len(one) for one in regular] == [100, 100]
    assert f"SSAQ scored {sum(regular[0]) / 100:.3g} on average" in status(page, "asymmetry")


def test_a_tie_is_no_answer(visit):
    page = visit("light")
    judged = page.evaluate("""() => {
      const { preset, prediction } = document.querySelector("[data-preset=race]").hanqLab;
      const tied = [1, 2].map((i) => ({ label: `agent ${i}`, points: [{ gradientStep: 200, score: 90 }] }));
      return [preset.verdict(tied).answer, prediction.judge(preset.verdict(tied))];
    }""")
    assert judged[0] is None and judged[1].endswith("That answers the question neither way; change the seed, and run again.")
