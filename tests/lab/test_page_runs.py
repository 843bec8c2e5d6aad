"""The laboratory trains when it is asked to, what it is asked to, and only where it is seen."""

from browsing import PRESETS, SECONDS, SWUNG, points, status, train


def test_a_page_opened_from_a_folder_loads_without_an_error_and_trains_nothing_unasked(visit):
    page = visit("light", "#algorithm=HANQ&lr=-1.5&seed=3")
    page.wait_for_timeout(500)
    assert page.locator(".hanq-lab-card").count() == len(PRESETS)
    assert page.workers == [] and status(page) == "Nothing has been trained yet."


def test_hanq_at_seed_3_passes_a_score_of_80_within_2000_steps(visit):
    (found,) = train(visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=2000"))
    assert [point["gradientStep"] for point in found] == list(range(20, 2001, 20))
    late = [point["score"] for point in found if point["gradientStep"] > 1000]
    assert sum(late) / len(late) > 80
    assert found[-1]["scale"] > 1.05 and found[-1]["learningRate"] < 10**-1.5


def test_dqn_collapses_without_its_target_network_and_not_with_it(visit):
    page = visit("one", "#algorithm=DQN&lr=-2.5&b-algorithm=DQN%2C+no+target&b-lr=-2&seed=3&steps=20000")
    kept, lost = ([point for point in one if point["gradientStep"] > 18_000] for one in train(page))
    scores = [sum(point["score"] for point in one) / len(one) for one in (kept, lost)]
    assert scores[0] > 80 and scores[1] < 20
    assert kept[-1]["bellmanError"] < 100 and lost[-1]["bellmanError"] > 1e6
    assert status(page).startswith("Step 20,000: DQN scores ") and "; DQN, no target scores " in status(page)


def test_a_run_is_paused_goes_on_makes_single_steps_and_is_forgotten(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=200000")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 2000", timeout=SECONDS)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(500)
    before = points(page)[0][-1]["gradientStep"]
    assert before % 2000  # at once, not at the next evaluation
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.get_by_role("button", name="One step").click()
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps === {before + 1}")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps > {before + 200}", timeout=SECONDS)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(300)
    assert points(page) == [[]] and status(page) == "Nothing has been trained yet."


def test_out_of_sight_nothing_trains_and_in_sight_it_goes_on(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000")
    page.evaluate("document.body.append(Object.assign(document.createElement('div'), { style: 'height: 5000px' }))")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 200")
    page.evaluate("scrollTo(0, 1e6)")
    page.wait_for_timeout(700)
    before = points(page)[0][-1]["gradientStep"]
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a tab that comes back shows no more than before
    page.wait_for_timeout(500)
    assert points(page)[0][-1]["gradientStep"] == before
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(f"document.querySelector('.hanq-lab').hanqLab.session.steps > {before}", timeout=SECONDS)


def test_one_laboratory_trains_at_a_time(visit):
    page = visit("light", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000", viewport={"width": 1280, "height": 9000})
    playing = "[...document.querySelectorAll('.hanq-lab')].map((one) => one.hanqLab.session?.playing ?? false)"
    for preset in ("laboratory", "race"):
        page.locator(f"[data-preset={preset}]").get_by_role("button", name="Play").click()
        assert page.evaluate(playing) == [one == preset for one in PRESETS]


def test_a_failure_is_told_by_its_cause_and_ends_the_run(visit):
    page = visit("one")
    failing = """() => {
      const text = 'let n = 0; onmessage = ({ data }) => postMessage({ type: "error", id: data.id, message: ["no SIMD", "unknown"][n++] })';
      hanqLab.newWorker = () => new Worker(URL.createObjectURL(new Blob([text])));
    }"""
    page.evaluate(failing)
    page.get_by_role("button", name="Play").click()
    page.get_by_text("It went wrong: no SIMD").wait_for()
    page.wait_for_timeout(300)
    assert status(page) == "It went wrong: no SIMD" and page.get_by_role("button", name="Play").is_visible()


def test_an_agent_can_be_swung_and_mapped_before_it_is_trained_and_is_forgotten_with_its_pictures(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3")
    page.get_by_role("button", name="From below").first.click()
    page.get_by_label("Map of", exact=True).first.select_option("action")
    page.wait_for_function(SWUNG)
    page.wait_for_function("document.querySelector('.hanq-lab-map').getAttribute('aria-label').includes('0 in ')")
    assert points(page) == [[]] and page.evaluate("document.querySelector('.hanq-lab').hanqLab.agents[0].pendulum.moving")
    page.get_by_role("button", name="Reset").click()
    assert page.locator(".hanq-lab-pendulum").first.get_attribute("aria-label") == "Pendulum of HANQ, not swung yet"
    assert page.locator(".hanq-lab-map").first.get_attribute("aria-label") == "Map of HANQ, not drawn yet"


def test_a_second_agent_may_be_asked_for_while_the_first_trains(visit):
    page = visit("one", "#algorithm=HANQ&lr=-1.5&seed=3&steps=20000")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 400", timeout=SECONDS)
    page.get_by_label("Compare two", exact=True).check()
    assert points(page) == [[], []] and status(page) == "Nothing has been trained yet."
    assert "b-algorithm=" in page.url and page.get_by_label("Algorithm", exact=True).nth(1).is_visible()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.hanq-lab').hanqLab.session.steps >= 400", timeout=SECONDS)
