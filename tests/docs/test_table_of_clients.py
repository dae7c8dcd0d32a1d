"""The table of clients on the page about credentials."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
LINES = (DOCS / "credentials.md").read_text("utf-8").splitlines()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES if line.startswith("| [")]


def test_each_page_of_a_client_is_in_the_table() -> None:
    """Each page of a client has a row."""
    pages = {f"credentials/{page.name}" for page in (DOCS / "credentials").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)#]+)", " ".join(row[0] for row in ROWS)))


def test_each_row_is_complete() -> None:
    """Each row says what the hook is, what happens to idle and busy connections, and what cannot be done."""
    assert [row[0] for row in ROWS if len(row) != 6 or not all(row)] == []
    assert len(ROWS) > 20
