"""The report in a real browser: headless Chromium, driven by Selenium, without a network.

Skipped without the binaries, unless AXSURROGATE_REQUIRE_BROWSER is set.
"""

import base64
import io
import json
import os
import shutil
import time

import numpy as np
import pytest

import multipliers
from catalog.report import compared, render_report, write_report
from catalog.report.content import key_rows, metric_rows
from multipliers.characterise import characterise

HOSTILE = "<script>window.hostile=1</script><img src=x onerror=window.hostile=1>"

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --force-color-profile=srgb "
    "--use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
)

CHARTS = ("map", "solid", "errors", "relative", "profile-a", "profile-b", "spectrum", "dot")


def binary(*names):
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        reason = f"no {' or '.join(names)} on the PATH (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("AXSURROGATE_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = binary("chromium", "chromium-browser"), binary("chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


def resize(browser, width, height):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def open_page(browser, path, width=1280):
    for log in ("browser", "performance"):
        browser.get_log(log)
    resize(browser, width, 900)
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.charts"))
    assert browser.execute_script("return document.documentElement.dataset.charts") == "drawn"


def lopsided(bits_a, bits_b):
    """Asymmetric random table with f(0, 0) not 0 and a hostile name; a unsigned, b signed."""
    rng = np.random.default_rng(11)
    a, b = multipliers.OperandFormat(bits_a), multipliers.OperandFormat(bits_b, True)
    products = np.multiply.outer(a.values(), b.values()) + rng.integers(-9, 6, (a.size, b.size))
    products[0, b.size // 2] = 5
    return multipliers.TableMultiplier(products, a, b, name=HOSTILE)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """Multiplier, its characterisation, and the report of it, open; each test puts back what it changes."""
    m = lopsided(5, 4)
    c = characterise(m)
    open_page(browser, write_report(c, tmp_path_factory.mktemp("report") / "out.html", multiplier=m))
    return m, c, browser


def data(browser, chart, path, trace=0):
    """Return an array that a chart draws, as plotly.js has decoded it."""
    script = (
        f"const v = document.getElementById('chart-{chart}')._fullData[{trace}].{path};"
        "return Array.from(v, (row) => row.length === undefined ? row : Array.from(row, (x) => x === x ? x : null))"
    )
    return np.array(browser.execute_script(script), dtype=float)


def eye(browser):
    script = "const e = document.getElementById('chart-solid')._fullLayout.scene._scene.getCamera().eye;"
    return np.array(browser.execute_script(script + "return [e.x, e.y, e.z]"))


def click(browser, selector):
    found = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
    found.click()


def test_page_loads_without_errors_or_requests(page):
    _, _, browser = page
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    own = {"chrome", "chrome-untrusted", "chrome-extension"}  # the browser's empty first page may still be loading
    assert {url.partition(":")[0] for url in urls} - own <= {"file", "data", "blob"}
    [loaded] = [url for url in urls if url.startswith("file:")]
    assert loaded.endswith("/out.html")


def test_hostile_name_is_text(page):
    _, _, browser = page
    assert browser.find_element("css selector", "h1").text == HOSTILE
    assert HOSTILE in browser.title
    assert browser.execute_script("return window.hostile") is None
    assert browser.find_elements("css selector", "img[src=x]") == []


def test_figures_shown_are_those_of_the_characterisation(page):
    _, c, browser = page
    shown = browser.execute_script(
        "return Array.from(document.querySelectorAll('#summary [data-key], #metrics [data-key]'), "
        "(x) => [x.dataset.key, x.textContent])"
    )
    assert shown == [[row.key, row.value] for row in (*key_rows(c), *metric_rows(c))]


def test_all_charts_are_drawn(page):
    m, c, browser = page
    marks = {
        "map": ".heatmaplayer image",
        "errors": ".barlayer .point path",
        "relative": ".barlayer .point path",
        "profile-a": ".scatterlayer .js-line",
        "profile-b": ".scatterlayer .js-line",
        "spectrum": ".scatterlayer .js-line",
        "dot": ".scatterlayer .js-line",
        "solid": ".gl-container canvas",
    }
    assert set(marks) == set(CHARTS)
    counts = {name: len(browser.find_elements("css selector", f"#chart-{name} {mark}")) for name, mark in marks.items()}
    assert counts["errors"] == c.error_histogram.counts.size
    assert counts["relative"] == c.relative_error_histogram.counts.size
    assert (counts["profile-a"], counts["profile-b"], counts["spectrum"], counts["dot"]) == (4, 4, 2, 2)
    assert counts["map"] == 1
    assert counts["solid"] >= 1
    E = m.error(m.a.values()[:, None], m.b.values()[None, :])
    for chart in ("map", "solid"):
        assert (data(browser, chart, "z") == E).all()
        assert (data(browser, chart, "x") == m.b.values()).all()
        assert (data(browser, chart, "y") == m.a.values()).all()
    assert (data(browser, "errors", "y") == c.error_histogram.counts / c.error_histogram.n_pairs).all()
    assert (data(browser, "profile-a", "y", 2) == c.profile_a.mean).all()
    assert (data(browser, "spectrum", "y", 1) == c.error_spectrum.norm_left[:-1]).all()


def test_surface_is_painted_by_webgl(page):
    from PIL import Image

    _, _, browser = page
    image = browser.execute_async_script(
        "const done = arguments[0]; Plotly.toImage('chart-solid', {format: 'png', width: 300, height: 300}).then(done)"
    )
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))).convert("RGB"))
    strong = np.ptp(pixels.astype(int), axis=2) > 60  # coloured, unlike axes and paper
    assert strong.mean() > 0.05
    assert len(np.unique(pixels[strong], axis=0)) > 50


def test_dragging_rotates_the_surface_and_buttons_turn_it(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    _, _, browser = page
    click(browser, "[data-turn=reset]")
    until(lambda: np.allclose(eye(browser), [-1.2, -1.35, 0.85], atol=1e-6))
    canvas = browser.find_element("css selector", "#chart-solid .gl-container canvas")
    drag = ActionChains(browser).move_to_element(canvas).click_and_hold()
    for _ in range(6):
        drag.move_by_offset(15, 3).pause(0.05)
    drag.release().perform()
    until(lambda: np.abs(eye(browser) - [-1.2, -1.35, 0.85]).max() > 0.2)
    dragged = eye(browser)
    assert np.linalg.norm(dragged) == pytest.approx(np.linalg.norm([-1.2, -1.35, 0.85]), rel=0.2)
    button = browser.find_element("css selector", "[data-turn=left]")
    assert button.accessible_name == "Turn left"
    button.send_keys(Keys.ENTER)
    turned = np.arctan2(dragged[1], dragged[0]) - np.pi / 12
    until(lambda: abs(np.angle(np.exp(1j * (np.arctan2(*eye(browser)[1::-1]) - turned)))) < 0.05)
    click(browser, "[data-turn=in]")
    until(lambda: np.linalg.norm(eye(browser)) < 0.95 * np.linalg.norm(dragged))
    click(browser, "[data-turn=reset]")
    until(lambda: np.allclose(eye(browser), [-1.2, -1.35, 0.85], atol=1e-6))


def test_toggles_show_relative_error_and_product(page):
    from selenium.webdriver.common.keys import Keys

    m, _, browser = page
    a, b = m.a.values()[:, None], m.b.values()[None, :]
    F, P = m(a, b), a * b
    ratio = np.divide(F - P, P, out=np.full(F.shape, np.nan), where=P != 0)
    browser.find_element("css selector", "input[value=error]").send_keys(Keys.ARROW_RIGHT)  # by keyboard
    for view, title, label in (
        (ratio, "relative error E/P", "E/P"),
        (F, "product F (LSB)", "F"),
        (F - P, "error E (LSB)", "E"),
    ):
        for chart in ("map", "solid"):
            until(
                lambda chart=chart, view=view: np.allclose(data(browser, chart, "z"), view, equal_nan=True, rtol=1e-6)
            )
        shown = "return document.getElementById('chart-map')._fullData[0].colorbar.title.text"
        assert browser.execute_script(shown) == title
        axis = "return document.getElementById('chart-solid')._fullLayout.scene.zaxis.title.text"
        until(lambda label=label, axis=axis: browser.execute_script(axis) == label)
        following = {"E/P": "product", "F": "error"}.get(label)
        if following:
            click(browser, f"input[value={following}] + span")


def test_definitions_show_on_focus(page):
    _, _, browser = page
    tip = browser.find_element("id", "def-metric-mre")
    assert not tip.is_displayed()
    browser.execute_script("arguments[0].parentElement.focus()", tip)
    assert tip.is_displayed()
    assert tip.text.startswith("Mean of |E| / |P|")
    browser.execute_script("arguments[0].parentElement.blur()", tip)
    assert not tip.is_displayed()


def test_dark_colours(page):
    _, _, browser = page
    paper = "return getComputedStyle(document.body).backgroundColor"
    ink = "return document.getElementById('chart-errors')._fullLayout.font.color"
    light = browser.execute_script(paper), browser.execute_script(ink)
    click(browser, "#theme")
    until(lambda: browser.execute_script(ink) != light[1])
    assert browser.execute_script(paper) == "rgb(15, 20, 25)"
    assert browser.find_element("id", "theme").accessible_name == "Use light colours"
    click(browser, "#theme")
    until(lambda: browser.execute_script(ink) == light[1])
    assert browser.execute_script(paper) == light[0]


def test_phone_shows_all_without_sideways_scrolling(page):
    _, _, browser = page
    resize(browser, 390, 844)
    try:
        wide = "return document.getElementById('chart-map')._fullLayout.width"
        until(lambda: browser.execute_script(wide) <= 390)
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    finally:
        resize(browser, 1280, 900)
        until(lambda: browser.execute_script(wide) > 390)


def test_paper_holds_charts_of_its_width(page):
    _, _, browser = page
    width = "return document.getElementById('chart-errors')._fullLayout.width"
    printed = base64.b64decode(
        browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    )
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
    until(lambda: browser.execute_script(width) > 400)  # back on the screen
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    until(lambda: browser.execute_script(width) < 310)
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    until(lambda: browser.execute_script(width) > 400)


def test_policy_stops_every_other_script(page):
    _, _, browser = page
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.injected = 1'; document.head.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<p id=probe onclick=\"window.injected=1\">probe</p>');"
        "document.getElementById('probe').click()"
    )
    assert browser.execute_script("return window.injected") is None
    browser.execute_script("document.getElementById('probe').remove()")


def test_wide_operands_show_block_means_or_largest(browser, tmp_path):
    m = multipliers.get("bam9u_h0v4")
    c = characterise(m)
    open_page(browser, write_report(c, tmp_path / "wide.html", multiplier=m, published=compared(c, ())))
    E = m.error(m.a.values()[:, None], m.b.values()[None, :]).reshape(128, 4, 128, 4)
    assert "block of 4 values of a by 4 values of b" in browser.find_element("css selector", "#surface .caption").text
    until(lambda: (data(browser, "map", "z") == E.mean(axis=(1, 3))).all())
    click(browser, "input[value=max] + span")
    until(lambda: (data(browser, "map", "z") == E.min(axis=(1, 3))).all())  # truncation: the largest are negative
    title = browser.execute_script("return document.getElementById('chart-map')._fullData[0].colorbar.title.text")
    assert title == "largest error E (LSB)"


def test_page_without_javascript_or_a_new_browser_keeps_its_figures(browser, tmp_path):
    m = lopsided(3, 3)
    c = characterise(m)
    old = render_report(c, multiplier=m)
    path = tmp_path / "old.html"
    path.write_text(old, encoding="utf-8")
    source = "delete window.DecompressionStream"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        browser.get(path.as_uri())
        until(lambda: browser.execute_script("return document.documentElement.dataset.charts"))
        assert "too old" in browser.find_element("id", "undrawn").text
        assert browser.find_element("css selector", "#metrics [data-key=wce]").text == str(c.metrics.wce)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
