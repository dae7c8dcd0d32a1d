"""The arithmetic and the drawings of the benchmark; what it measures is not tested, as it differs from run to run."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from benchmarks._stats import bytes_, duration, median, percentile, ratio
from benchmarks._svg import Bar, chart


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(4.21, "4.21 ns"), (999.9, "1.00 µs"), (12_345, "12.3 µs"), (276_400_000, "276 ms"), (30e9, "30.0 s")],
)
def test_durations_have_three_figures_and_a_unit(nanoseconds: float, text: str) -> None:
    """A duration is shown with three figures, in the unit that suits it."""
    assert duration(nanoseconds) == text


def test_memory_is_shown_in_kibibytes_and_mebibytes() -> None:
    """A count of bytes is shown in KiB, from one MiB on in MiB."""
    assert (bytes_(2048), bytes_(5 * 1024**2)) == ("2.00 KiB", "5.00 MiB")


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """A percentile is the nearest rank: one of the values, the largest for 1.0."""
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert (median(values), percentile(values, 0.99), percentile(values, 0.2)) == (3.0, 5.0, 1.0)


def test_a_ratio_says_how_many_times_the_floor() -> None:
    """A ratio has three figures."""
    assert ratio(500, 200) == "2.50"


def test_a_chart_is_well_formed_and_says_what_it_shows() -> None:
    """A chart is XML that names each bar, its value, and what stands in place of a missing one."""
    bars = [Bar("ours & co", 520e3, ours=True), Bar("theirs", 276e6), Bar("other", None, "does not follow")]
    root = ET.fromstring(chart("From the rename", bars, duration, floor=300e3))
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"From the rename", "ours & co", "520 µs", "276 ms", "does not follow", "floor"} <= texts


def test_longer_bars_are_larger_numbers() -> None:
    """Bars grow with the logarithm of their values: equal ratios are equal steps."""
    root = ET.fromstring(chart("t", [Bar("a", 20.0), Bar("b", 200.0), Bar("c", 2000.0)], duration))
    widths = [float(element.attrib["width"]) for element in root.iter() if element.get("class") == "other"]
    assert widths[1] - widths[0] == pytest.approx(widths[2] - widths[1], abs=0.2)


def test_a_chart_without_any_number_is_drawn_all_the_same() -> None:
    """A chart whose bars have no value at all is still well-formed."""
    ET.fromstring(chart("t", [Bar("a", None, "0")], duration))
