"""Write the pages of the documentation that come from the code: methods, filters, commands and recipe keys.

python docs/generate.py            # write them
python docs/generate.py --check    # fail where one is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from imaginate import registry
from imaginate.cli import commands, summary
from imaginate.cli._flags import describe
from imaginate.engine.recipe import SECTIONS
from imaginate.settings import Setting, settings_of

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code: change the code, then run `make docs`. -->\n"


def settings_table(settings: list[Setting]) -> str:
    """One row per setting."""
    if not settings:
        return "No settings.\n"
    rows = [f"| `{s.flag}` | {describe(s).replace('|', '¦')} |" for s in settings]
    return "\n".join(["| flag | meaning |", "| --- | --- |", *rows]) + "\n"


def registered(kind: registry.Kind, title: str, intro: str) -> str:
    """A page of all methods, or all filters."""
    lines = [NOTE, f"# {title}", "", intro, "", "| name | idea | needs | from |", "| --- | --- | --- | --- |"]
    parts = []
    for name in registry.names(kind):
        cls = registry.find(kind, name)
        needs = ", ".join(cls.needs) or "nothing"
        lines.append(f"| [`{name}`](#{name}) | {registry.summary(cls)} | {needs} | {getattr(cls, 'paper', '')} |")
        import inspect

        parts += [f"## {name}", "", inspect.getdoc(cls) or "", "", settings_table(settings_of(cls))]
    return "\n".join([*lines, "", *parts])


def recipe_page() -> str:
    """Every section of a recipe."""
    parts = [NOTE, "# Recipe keys and flags", "", "Every setting of a run, as a flag and as a key of its section.", ""]
    for name, cls in SECTIONS.items():
        parts += [f"## {name}", "", settings_table(settings_of(cls))]
    return "\n".join(parts)


def commands_page() -> str:
    """The list of commands."""
    rows = [f"| `imaginate {name}` | {summary(name)} |" for name in commands()]
    return "\n".join([NOTE, "# Commands", "", "| command | what it does |", "| --- | --- |", *rows, ""])


PAGES = {
    "methods.md": lambda: registered("methods", "Methods", "`imaginate expand DATA OUT --method NAME`."),
    "filters.md": lambda: registered("filters", "Filters", "`imaginate expand ... --filter NAME[:key=value,...]`."),
    "recipe.md": recipe_page,
    "commands.md": commands_page,
}


def main() -> int:
    """Write or check every page; returns the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if "--check" in sys.argv:
            stale += [name] if not path.exists() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
