import subprocess
import sys

import numpy as np
import pytest

from multipliers import OperandFormat, ParameterError, TableMultiplier, get, plot
from multipliers.characterise import characterise


@pytest.fixture(scope="module")
def drawn():
    return get("mitchell6u")


ALL = [
    plot.error_surface,
    plot.error_histogram,
    lambda m: plot.error_histogram(m, relative=True),
    plot.singular_spectrum,
    plot.error_profile,
    plot.overview,
]


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("label", ["mitchell6u", "exact3s", "drum4x6u_k3", "exact11s"])
def test_every_picture_draws_without_warnings(draw, label, tmp_path):
    path = plot.save_figure(draw(get(label)), tmp_path / "picture.png", dpi=40)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_pictures_of_a_characterisation(drawn):
    c = characterise(drawn)
    assert len(plot.overview(c).axes) == 4
    assert len(plot.overview(drawn).axes) == 5  # and the colour bar
    with pytest.raises(ParameterError, match="needs a Multiplier"):
        plot.error_surface(c)
    with pytest.raises(ParameterError, match="expected a Characterisation or a Multiplier"):
        plot.error_histogram("mitchell6u")


def test_surface_shows_the_errors_where_they_are():
    a, b = OperandFormat(2, True), OperandFormat(3)
    products = np.multiply.outer(a.values(), b.values())
    products[0, 7] += 5  # f(-2, 7)
    image = plot.error_surface(TableMultiplier(products, a, b)).axes[0].images[0]
    assert image.get_array()[0, 7] == 5
    assert image.get_array().sum() == 5
    assert image.get_clim() == (-5, 5)
    assert image.get_extent() == [-0.5, 7.5, -2.5, 1.5]
    assert image.origin == "lower"


def test_wide_surface_is_thinned_and_says_so():
    axes = plot.error_surface(get("drum16u_k6")).axes[0]
    assert axes.images[0].get_array().shape == (256, 256)
    assert axes.get_xlabel() == "b (256 of 65536 values)"


def test_units_are_on_the_axes(drawn):
    surface, histogram, spectrum, profile, bar = plot.overview(drawn).axes
    assert histogram.get_xlabel() == "error (LSB)"
    assert profile.get_ylabel() == "mean error ± SD (LSB)"
    assert bar.get_ylabel() == "error (LSB)"
    assert spectrum.get_yscale() == "log"
    assert (surface.get_xlabel(), surface.get_ylabel()) == ("b", "a")


@pytest.mark.parametrize("suffix", plot.SUFFIXES)
def test_saved_bytes_are_deterministic(drawn, tmp_path, suffix):
    paths = [plot.save_figure(plot.overview(drawn), tmp_path / f"{n}{suffix}") for n in "xy"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"x{suffix}", f"y{suffix}"]


def test_unknown_suffix_and_missing_folder(drawn, tmp_path):
    figure = plot.error_surface(drawn)
    with pytest.raises(ParameterError, match=r"use one of .png, .svg, .pdf"):
        plot.save_figure(figure, tmp_path / "picture.bmp")
    with pytest.raises(FileNotFoundError, match="create it first"):
        plot.save_figure(figure, tmp_path / "none" / "picture.png")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(drawn, tmp_path):
    target = tmp_path / "picture.png"
    target.write_bytes(b"old")
    with pytest.raises((ValueError, TypeError)):
        plot.save_figure(plot.error_surface(drawn), target, dpi=-1)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_matplotlib_is_not_imported_until_a_picture_is_drawn():
    code = "import sys, multipliers.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
