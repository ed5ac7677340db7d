import base64
import json
import math
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import multipliers
from catalog import entry, families
from catalog.cli.app import app
from catalog.report import Cost, compared, content, render_report, typeset, write_report
from catalog.report.charts import array, figures, surfaces
from catalog.report.definitions import LAWS, METRICS
from catalog.report.page import SECTIONS
from catalog.report.surface import DRAWN_PER_BLOCK, N_BLOCKS, measure_surface
from catalog.report.words import sentences
from multipliers.characterise import characterise
from multipliers.errors import NetlistError, ParameterError
from multipliers.metric_values import ErrorMetrics
from multipliers.multiplier import Multiplier
from multipliers.structure import Structure

HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror=hostile()>\"'&{{7*7}}"


class Page(HTMLParser):
    """Elements and text of a page; the text of scripts and styles apart."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.shown, self.values, self.raw, self.sections = [], [], {}, {}, []
        self._raw, self._key, self._open = None, None, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in ("meta", "link", "input"):
            self._open.append(tag)
        if tag in ("script", "style"):
            self._raw = attributes.get("id", tag)
            self.raw[self._raw] = ""
        if tag == "section":
            self.sections.append(attributes["id"])
        self._key = attributes.get("data-key")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        self._raw = self._key = None

    def handle_data(self, data):
        if self._raw is not None:
            self.raw[self._raw] += data
        else:
            self.shown.append(data)
            if self._key is not None:
                self.values.setdefault(self._key, set()).add(data)

    @property
    def text(self):
        return " ".join(" ".join(self.shown).split())

    @property
    def charts(self):
        return json.loads(zlib.decompress(base64.b64decode(self.raw["charts"])))


def lopsided(name="lopsided"):
    """Asymmetric random table with f(0, 0) not 0: 3-bit unsigned by 4-bit signed."""
    rng = np.random.default_rng(7)
    a, b = multipliers.OperandFormat(3), multipliers.OperandFormat(4, True)
    products = np.multiply.outer(a.values(), b.values()) + rng.integers(-3, 4, (8, 16))
    products[0, 8] = 5
    return multipliers.TableMultiplier(products, a, b, name=name)


def unpacked(packed):
    values = np.frombuffer(base64.b64decode(packed["bdata"]), dtype="<" + packed["dtype"])
    return values.reshape([int(n) for n in packed["shape"].split(",")]) if "shape" in packed else values


@pytest.fixture(scope="module")
def drawn():
    m = lopsided()
    c = characterise(m)
    return m, c, Page(render_report(c, multiplier=m))


def test_sections_stand_in_order_and_the_page_is_well_formed(drawn):
    _, _, page = drawn
    assert page.sections == [name for name, _ in SECTIONS]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    described = [attributes["aria-describedby"] for _, attributes in page.tags if "aria-describedby" in attributes]
    assert set(described) <= set(ids)
    assert not page._open
    assert [attributes["lang"] for tag, attributes in page.tags if tag == "html"] == ["en"]


def test_nothing_on_the_page_refers_to_a_network(drawn):
    _, _, page = drawn
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe", "object", "embed", "base"})
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "style"} & set(attributes), tag
        assert attributes.get("href", "#").startswith(("#", "data:"))
    assert not re.search(r"url\(|@import|https?:", page.raw["style"])
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest", page.raw["script"])
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline' " not in policy.partition("script-src")[2].partition(";")[0]


def test_the_page_carries_plotly_whole(drawn):
    from plotly.offline import get_plotlyjs

    _, _, page = drawn
    assert zlib.decompress(base64.b64decode(page.raw["plotly"])).decode() == get_plotlyjs()


def test_every_figure_shown_is_that_of_the_characterisation(drawn):
    _, c, page = drawn
    shown = page.values
    for key, definition in METRICS.items():
        value = getattr(c.metrics, key)
        if value is None:
            assert key not in shown
            continue
        write = typeset.percent if definition.unit == "share" else typeset.number
        assert shown[key] == {write(value)}
    words = {None: "does not apply", True: "holds", False: "broken"}
    assert {key: shown[key] for key in LAWS} == {key: {words[getattr(c.structure, key)]} for key in LAWS}
    assert shown["n_exact_products"] == {str(c.n_exact_products)}
    assert (shown["product_rank"], shown["error_rank"]) == (
        {str(c.product_spectrum.rank)},
        {str(c.error_spectrum.rank)},
    )
    assert c.fingerprint in page.text
    for length in (1, 4096):
        d = c.expected_dot_product_error(length)
        assert f"{typeset.number(length)} {typeset.number(d.bias)} {typeset.number(d.sd)}" in page.text


def test_every_metric_and_law_has_a_definition():
    spelt = {"n_pairs", "comparison", "weighted", "relative", "normaliser", "intervals"}
    assert set(METRICS) == set(ErrorMetrics.__dataclass_fields__) - spelt
    assert set(LAWS) == set(Structure.__dataclass_fields__) - {"comparison", "n_pairs"}


def test_charts_hold_the_arrays_of_the_characterisation(drawn):
    m, c, page = drawn
    found = page.charts["figures"]
    for name, histogram in (("errors", c.error_histogram), ("relative", c.relative_error_histogram)):
        [bars] = found[name]["data"]
        assert (unpacked(bars["y"]) == histogram.counts / histogram.n_pairs).all()
    E = m.table() - np.multiply.outer(m.a.values(), m.b.values())
    for name, profile, axis in (("profile-a", c.profile_a, 1), ("profile-b", c.profile_b, 0)):
        low, high, mean, largest = (unpacked(trace["y"]) for trace in found[name]["data"])
        assert (mean == profile.mean).all()
        np.testing.assert_allclose([low, high], [profile.mean - profile.sd, profile.mean + profile.sd])
        assert (largest == np.abs(E).max(axis=axis)).all()
        assert (unpacked(found[name]["data"][3]["x"]) == profile.values).all()
    for trace, spectrum in zip(found["spectrum"]["data"], (c.product_spectrum, c.error_spectrum), strict=True):
        assert (unpacked(trace["y"]) == spectrum.norm_left[:-1]).all()
        assert f"rank {spectrum.rank}" in trace["name"]
    bias, sd = (unpacked(trace["y"]) for trace in found["dot"]["data"])
    lengths = unpacked(found["dot"]["data"][0]["x"])
    np.testing.assert_allclose(bias, abs(c.metrics.mean_error) * lengths)
    np.testing.assert_allclose(sd, c.metrics.sd * np.sqrt(lengths))
    views = page.charts["views"]
    assert set(views) == {"mean-error", "mean-relative", "mean-product"}
    assert (unpacked(views["mean-error"]["z"]) == E).all()
    assert (unpacked(views["mean-product"]["z"]) == m.table()).all()
    P = m.table() - E
    ratio = np.divide(E, P, out=np.full(E.shape, np.nan), where=P != 0)
    np.testing.assert_array_equal(unpacked(views["mean-relative"]["z"]), ratio.astype(np.float32))


@pytest.mark.parametrize("label", ["exact4u", "drum8u_k4", "bam9u_h0v3", "mitchell16u"])
def test_charts_are_valid_plotly(label):
    import plotly.graph_objects as go

    m = multipliers.get(label)
    surface = measure_surface(m)
    views = surfaces(surface)
    for name, figure in figures(characterise(m), surface).items():
        checked = go.Figure(figure)  # raises for an unknown or malformed property
        for view in views.values() if name in ("map", "solid") else ():
            limits = ("zmin", "zmax") if name == "map" else ("cmin", "cmax")
            checked.update_traces(
                {"colorscale": view["scale"], **dict(zip(limits, (view["low"], view["high"]), strict=True))}
            )
            assert view["low"] < view["high"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([127], "i1"),
        ([-128, 1], "i2"),
        ([40000], "i4"),
        ([2**40], "f8"),
        ([0.5], "f8"),
        ([np.nan, 1], "f8"),
    ],
)
def test_arrays_take_the_smallest_type_that_holds_them(values, kind):
    packed = array(values)
    assert packed["dtype"] == kind
    np.testing.assert_array_equal(unpacked(packed), values)


def test_surface_of_narrow_operands_is_the_table():
    m = lopsided()
    s = measure_surface(m)
    assert (s.mean_product == m.table()).all()
    assert (s.max_product == m.table()).all()
    assert not s.reduced
    assert s.rule() == "One cell per operand pair; nothing is left out."
    assert (s.a == m.a.values()).all()
    assert (s.b == m.b.values()).all()


def test_blocks_of_a_surface_hold_mean_and_extreme_of_all_their_pairs():
    rng = np.random.default_rng(3)
    a, b = multipliers.OperandFormat(9, True), multipliers.OperandFormat(3)
    products = np.multiply.outer(a.values(), b.values()) + rng.integers(-9, 10, (512, 8))
    s = measure_surface(multipliers.TableMultiplier(products, a, b, name="long"))
    assert (s.block_a, s.block_b, s.pairs_per_cell, s.complete, s.reduced) == (4, 1, 4, True, True)
    for i in (0, 63, 64, 127):
        for j in range(8):
            cell = [(x, j, int(products[x + 256, j])) for x in range(4 * i - 256, 4 * i - 252)]
            errors = [f - x * y for x, y, f in cell]
            ratios = [(f - x * y) / (x * y) for x, y, f in cell if x * y]
            assert s.mean_error[i, j] == pytest.approx(sum(errors) / 4)
            assert s.mean_product[i, j] == pytest.approx(sum(f for _, _, f in cell) / 4)
            assert s.max_error[i, j] == max(errors, key=abs)
            assert s.a[i] == 4 * i - 254.5
            if ratios:
                assert s.mean_relative[i, j] == pytest.approx(sum(ratios) / len(ratios))
                assert abs(s.max_relative[i, j]) == pytest.approx(max(map(abs, ratios)))
            else:
                assert math.isnan(s.mean_relative[i, j])
                assert math.isnan(s.max_relative[i, j])


class Recorder(Multiplier):
    """Exact 16-bit multiplier that keeps the operands it was asked for."""

    a = b = multipliers.OperandFormat(16)
    name = "recorder"

    def __init__(self):
        self.seen = [set(), set()]

    def _product(self, a, b):
        for seen, x in zip(self.seen, (a, b), strict=True):
            seen.update(np.unique(x).tolist())
        return a * b


def test_wide_surface_draws_one_value_from_each_sixteenth_of_a_block():
    m = Recorder()
    s = measure_surface(m)
    assert not s.complete
    assert "drawn" in s.rule()
    assert s.mean_error.shape == (N_BLOCKS, N_BLOCKS)
    n = N_BLOCKS * DRAWN_PER_BLOCK
    for seen in m.seen:
        assert sorted(x * n >> 16 for x in seen) == list(range(n))
        assert len({x % (65536 // n) for x in seen}) > 16  # not all at the same place
    assert m.seen[0] != m.seen[1]
    assert not s.max_error.any()
    np.testing.assert_allclose(s.mean_product, np.multiply.outer(s.a, s.b), rtol=0.1, atol=1e5)


def test_names_from_files_are_text(tmp_path):
    m = lopsided(HOSTILE)
    c = characterise(m)
    figure = entry("udm8u").figures[0]
    said = compared(c, [figure])[0]._replace(source=HOSTILE, unit=HOSTILE)
    text = render_report(c, multiplier=m, published=[said], costs=[Cost(HOSTILE, 1.5, HOSTILE, HOSTILE)])
    page = Page(text)
    assert page.text.count("window.hostile=1") >= 5
    assert "{{7*7}}" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert not any("hostile" in raw for raw in page.raw.values())
    controls = render_report(characterise(lopsided("8u\x1b[2J")))
    assert "\x1b" not in controls
    assert "8u\\x1b[2J" in Page(controls).text


def test_the_same_multiplier_gives_the_same_bytes(tmp_path):
    for name in ("one.html", "two.html"):
        m = lopsided()
        assert write_report(characterise(m), tmp_path / name, multiplier=m) == tmp_path / name
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.html", "two.html"]
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_report(characterise(m), tmp_path / "nowhere" / "c.html")


def test_size_is_what_the_help_says():
    for label in ("drum8u_k4", "mitchell16u"):
        m = multipliers.get(label)
        assert 1.9e6 < len(render_report(characterise(m), multiplier=m).encode()) < 2.7e6


def test_another_multiplier_is_refused():
    c = characterise(lopsided())
    with pytest.raises(ParameterError, match="were characterised"):
        render_report(c, multiplier=multipliers.get("exact4u"))
    other = multipliers.TableMultiplier(lopsided().table() + 1, "3u", "4s")
    with pytest.raises(ParameterError, match="other products"):
        render_report(c, multiplier=other)


def test_a_characterisation_alone_has_no_surface():
    page = Page(render_report(characterise(lopsided())))
    assert "holds no products" in page.text
    assert page.charts["views"] == {}
    assert "map" not in page.charts["figures"]
    assert len(page.charts["figures"]["profile-a"]["data"]) == 3


def test_sampled_figures_are_labelled_and_carry_their_intervals():
    m = multipliers.get("drum16u_k6")
    c = characterise(m)
    page = Page(render_report(c, multiplier=m, published=compared(c, entry(m.name).figures)))
    assert "sampled, 4,194,304 random pairs of 4,294,967,296, with 95 % confidence intervals" in page.text
    interval = c.metrics.intervals["mean_error"]
    assert f"{typeset.number(interval.low)} to {typeset.number(interval.high)}" in page.text
    assert "or more" in page.text
    interval = c.metrics.intervals["error_probability"]
    assert f"{100 * interval.low:.8g} % to {100 * interval.high:.8g} %" in page.text
    assert "not contradicted" in page.text  # the largest relative error is analytic, the sample's is smaller
    assert "random 256 × 256 part" in page.text
    assert "holds” says only" in page.text


def test_weighted_figures_are_labelled():
    m = multipliers.get("udm8u")
    c = characterise(m, np.arange(256))
    assert compared(c, entry("udm8u").figures) == ()
    page = Page(render_report(c, multiplier=m))
    assert "weighted by operand distributions" in page.text
    assert "so none is compared" in page.text
    assert page.values["wmed"] == {typeset.number(c.metrics.wmed)}


def test_published_figures_stand_beside_the_measured_ones():
    m = multipliers.get("bam8s_h0v2")
    c = characterise(m)
    rows = compared(c, entry(m.name).figures)
    assert [row.value for row in rows] == [figure.value for figure in entry(m.name).figures]
    wce = next(row for row in rows if "WCE)" in row.metric)
    assert wce.measured == pytest.approx(100 * 5 / 65536)
    family = next(f for f in families() if f.family == "bam")
    page = Page(render_report(c, multiplier=m, published=rows, design=family))
    assert f"0.0076 {typeset.number(wce.measured)} % of 2^(n+m) reproduced" in page.text
    assert "differs, explained" in page.text
    for said in (family.source, family.definition, family.sign_rule):
        assert " ".join(said.split()) in page.text


def test_the_package_is_cited_as_its_citation_file_says():
    root = Path(__file__).resolve().parents[2]
    cff = dict(re.findall(r'^(\w+): "?(.*?)"?$', (root / "CITATION.cff").read_text(), re.MULTILINE))
    assert cff["title"] == content.CITATION
    assert cff["version"] in content.citation()["text"]


@pytest.mark.parametrize(
    ("products", "said", "unsaid"),
    [
        (lambda P: P, ["It is exact: all 64 products equal a × b.", "A zero operand gives zero"], ["bias", "largest"]),
        (
            lambda P: P - 2,
            ["2 LSB too small; it never overestimates", "one constant corrects", "f(0, b)", "f(a, 0)"],
            ["outweighs", "order"],
        ),
        (
            lambda P: P + (np.indices(P.shape).sum(axis=0) % 2) * 2 - 1,
            ["It is unbiased", "100 % of the products"],
            ["too"],
        ),
        (lambda P: P & ~3, ["too small", "outweighs", "A zero operand gives zero"], ["unbiased", "order"]),
        (
            lambda P: P + np.arange(8)[:, None] // 4 * 3,
            ["too large; it never underestimates", "f(a, 0)", "The order of the operands matters"],
            ["not preserved: f(0, b)"],
        ),
    ],
)
def test_plain_words(products, said, unsaid):
    P = np.multiply.outer(np.arange(8), np.arange(8))
    text = " ".join(sentences(characterise(multipliers.TableMultiplier(products(P), "3u"))))
    for part in said:
        assert part in text
    for part in unsaid:
        assert part not in text


def test_a_sample_without_errors_proves_nothing():
    text = " ".join(sentences(characterise(multipliers.get("exact16u"), sample=1000)))
    assert "does not prove it exact" in text
    assert "It is exact" not in text


def test_area_of_a_mapped_netlist():
    from multipliers.netlist import Circuit, Gate, NetlistMultiplier, Port
    from multipliers.netlist.library import Library, LibraryCell

    gates = (Gate("and", (2, 3), cell="AND2X1"),)
    circuit = Circuit("and", (Port("A", (2,)), Port("B", (3,))), (Port("O", (4,)),), gates)
    m, library = NetlistMultiplier(circuit, "1u"), Library("tiny", {"AND2X1": LibraryCell("AND2X1", 2.35)})
    text = Page(render_report(characterise(m), multiplier=m, library=library)).text
    assert "area 2.35 as in the library cells of tiny" in text
    assert "cells: AND2X1 1 counted in the netlist" in text
    with pytest.raises(NetlistError, match="lacks"):
        render_report(characterise(m), multiplier=m, library=Library("other", {}))


def run(*arguments):
    return CliRunner().invoke(app, ["characterise", *map(str, arguments)])


def test_command_writes_the_report_of_a_netlist_with_its_header(tmp_path):
    (tmp_path / "and.blif").write_text(
        ".model and\n.inputs A0 B0\n.outputs O0\n.names A0 B0 O0\n11 1\n.end\n", encoding="utf-8"
    )
    done = run(tmp_path / "and.blif", "--a", "1u", "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.endswith(f"wrote {tmp_path / 'out.html'}\n")
    page = Page((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert "gates 1 counted in the netlist" in page.text
    assert "It is exact" in page.text


def test_command_compares_with_the_header_of_a_c_file(tmp_path):
    (tmp_path / "mul4u_clear.c").write_text(
        "// MAE = 14\n// WCE = 25 \n// PDK45_PWR = 0.125 mW\n"
        "#include <stdint.h>\nuint8_t mul4u_clear(uint8_t A, uint8_t B) { return (A & ~1) * B; }\n"
    )
    done = run(tmp_path / "mul4u_clear.c", "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    text = Page((tmp_path / "out.html").read_text(encoding="utf-8")).text
    assert "WCE As the header of the file calls it. 25 15 differs header of mul4u_clear.c" in text
    assert "power 0.125 mW header of mul4u_clear.c" in text


def test_command_reports_the_area_of_a_mapped_circuit(tmp_path):
    (tmp_path / "tiny.lib").write_text(
        "library (tiny) { cell (AND2X1) { area : 2.35; pin (A) { direction : input; } pin (B) { direction : input; } "
        'pin (Y) { direction : output; function : "(A&B)"; } } }'
    )
    (tmp_path / "and.blif").write_text(
        ".model and\n.inputs A0 B0\n.outputs O0\n.gate AND2X1 A=A0 B=B0 Y=O0\n.end\n", encoding="utf-8"
    )
    liberty = ("--liberty", tmp_path / "tiny.lib")
    done = run(tmp_path / "and.blif", "--a", "1u", *liberty, "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    text = Page((tmp_path / "out.html").read_text(encoding="utf-8")).text
    assert "area 2.35 as in the library" in text


def test_command_reports_what_the_users_library_holds(tmp_path, monkeypatch):
    from catalog.library import Library
    from catalog.library.importing import import_folder

    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(tmp_path / "library.sqlite"))
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "mul2u_clear.c").write_text(
        "// MAE = 0.75\n// PDK45_AREA = 4.5 um2\n"
        "#include <stdint.h>\nuint8_t mul2u_clear(uint8_t A, uint8_t B) { return (A & ~1) * B; }\n"
    )
    with Library(create=True) as library:
        import_folder(folder, library, jobs=1)
    done = run("library:mul2u_clear", "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    text = Page((tmp_path / "out.html").read_text(encoding="utf-8")).text
    assert "0.75 0.75 reproduced header of mul2u_clear.c, release" in text
    assert "area 4.5 µm² header of mul2u_clear.c, release" in text


@pytest.mark.parametrize(("name", "said"), [("c.txt", "must end in .html"), ("nowhere/c.html", "create it first")])
def test_bad_report_names_are_refused_before_any_work(tmp_path, name, said):
    done = run("no_such_module:function", "--a", "8u", "--report", tmp_path / name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())
