"""The least that each start of a process must do, as source text for `python -c`."""

from __future__ import annotations

NOTHING = "pass"

TYPER = """
import typer
app = typer.Typer(rich_markup_mode=None, add_completion=False)
for number in range(16):
    def command(number: int = number) -> None:
        "Do one of many things."
    app.command(name=f"command-{number}")(command)
app(["--help"])
"""

PYDANTIC = """
from pydantic import BaseModel
for number in range(25):
    fields = {f"field_{i}": (str if i % 2 else int) for i in range(8)}
    type(f"Model{number}", (BaseModel,), {"__annotations__": fields}, frozen=True)
"""
