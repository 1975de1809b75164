"""SVG as text: elements with escaped attributes; colours come from the page's style."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["drawing", "element", "group", "number", "text", "titled"]


def number(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def element(name: str, content: str = "", **attributes: Any) -> str:
    """An element; `class_` is class, underscores become hyphens; content is SVG already."""
    parts = [
        f'{key.rstrip("_").replace("_", "-")}="'
        f'{escape(number(value) if isinstance(value, (int, float)) else str(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    head = " ".join([name, *parts])
    return f"<{head}>{content}</{name}>" if content else f"<{head}/>"


def text(x: float, y: float, words: Any, class_: str | None = None, anchor: str = "start") -> str:
    """Words at a point."""
    place = None if anchor == "start" else anchor
    return element("text", escape(str(words)), x=x, y=y, class_=class_, text_anchor=place)


def titled(content: str, title: str, class_: str | None = None) -> str:
    """A group that says something when the pointer rests on it."""
    return element("g", f"<title>{escape(title)}</title>{content}", class_=class_)


def group(content: str, class_: str) -> str:
    """A group of one class."""
    return element("g", content, class_=class_)


def drawing(width: float, height: float, content: str, label: str) -> str:
    """A whole drawing that shrinks with the page; `label` says what it shows."""
    return element(
        "svg",
        content,
        viewBox=f"0 0 {number(float(width))} {number(float(height))}",
        style=f"max-width:{number(float(width))}px",
        role="img",
        aria_label=label,
    )
