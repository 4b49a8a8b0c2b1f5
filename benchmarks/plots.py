"""Pictures as SVG, on logarithmic scales, without a library."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

# Colours that people who see few colours can tell apart (Okabe and Ito).
COLOURS = ("#000000", "#e69f00", "#0072b2", "#56b4e9", "#009e73", "#d55e00", "#cc79a7")


class Axis(NamedTuple):
    """A logarithmic scale from a value to a value, between two positions on the page."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """The position of a value; that of the nearest end if it is outside."""
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.start + min(share, 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """The powers of ten on the scale."""
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def axis(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis with some room around the values."""
    known = list(values)
    return Axis(min(known) / 1.3, max(known) * 1.3, start, end)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _dot(x: float, y: float, colour: str, label: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
        f"<title>{escape(label)}</title></circle>"
    )


def _page(width: float, height: float, title: str, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="sans-serif" font-size="12">\n<title>{escape(title)}</title>\n'
        '<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, _text(10, 20, title), *parts, "</svg>\n"])


def _legend(names: Iterable[str], x: float, y: float, step: float) -> list[str]:
    parts = []
    for i, (name, colour) in enumerate(zip(names, COLOURS)):
        parts += [_dot(x, y + i * step - 4, colour, name), _text(x + 10, y + i * step, name)]
    return parts


def dots(title: str, names: list[str], rows: dict[str, list[float | None]]) -> str:
    """A row of dots for each key, one dot for each name, on one scale; None where there is none."""
    left, top, step = 330.0, 50.0, 22.0
    height = top + step * len(rows) + 20
    scale = axis((value for row in rows.values() for value in row if value), left, 800.0)
    parts = []
    for tick in scale.ticks():
        x = scale.place(tick)
        parts += [_line(x, top - 12, x, height - 20, "#999" if tick == 1 else "#ddd")]
        parts += [_text(x, top - 16, f"{tick:g}", "middle")]
    for i, (row, values) in enumerate(rows.items()):
        y = top + i * step
        parts.append(_text(left - 10, y + 4, row, "end"))
        for name, value, colour in zip(names, values, COLOURS):
            if value:
                parts.append(_dot(scale.place(value), y, colour, f"{name}: {value:.3g}"))
    return _page(960, height, title, parts + _legend(names, 815, top, step))


def curves(title: str, unit: str, lines: dict[str, dict[float, float]]) -> str:
    """A curve for each name, over sizes."""
    left, right, top, bottom = 60.0, 560.0, 50.0, 350.0
    across = axis((size for line in lines.values() for size in line), left, right)
    upwards = axis((value for line in lines.values() for value in line.values()), bottom, top)
    parts = [_text(10, 38, unit)]
    for tick in across.ticks():
        x = across.place(tick)
        parts += [_line(x, top, x, bottom, "#ddd"), _text(x, bottom + 16, f"{tick:g}", "middle")]
    for tick in upwards.ticks():
        y = upwards.place(tick)
        parts += [_line(left, y, right, y, "#ddd"), _text(left - 6, y + 4, f"{tick:g}", "end")]
    for (name, line), colour in zip(lines.items(), COLOURS):
        places = [(across.place(size), upwards.place(value)) for size, value in line.items()]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), (size, value) in zip(places, line.items()):
            parts.append(_dot(x, y, colour, f"{name}, {size:g}: {value:.3g} {unit}"))
    return _page(760, bottom + 30, title, parts + _legend(lines, right + 20, top + 10, 22))
