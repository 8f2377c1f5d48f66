"""The commands that there are, in groups, and what each does: a text that needs no parser, and no import but os."""

from __future__ import annotations

import os

HERE = os.path.dirname(__file__)
DESCRIPTION = (
    "Turn a small labelled image-classification dataset into a larger, more informative one, "
    "and prove on held-out images what the new images are worth."
)


GROUPS = {  # every command once, the first ones first
    "begin here": ("demo", "plan", "expand", "inspect", "compare", "report"),
    "judge and choose": ("guide", "review", "refilter", "evaluate"),
    "use": ("train", "predict", "improve", "export-model", "export", "adopt"),
    "models and pools": ("fit", "pool"),
    "help": ("methods", "cache", "completion"),
}
_OVERVIEW = """\
usage: imaginate COMMAND ...

{description}

options:
  -h, --help  show this help message and exit
  --version   show program's version number and exit

{groups}

`imaginate COMMAND --help` shows the flags of one.
"""


def overview() -> str:
    """Every command in its group, with what it does."""
    lines = []
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<14}{summary(name)}" for name in names)]
    return _OVERVIEW.format(description=DESCRIPTION, groups="\n".join(lines[1:]))


def summary(name: str) -> str:
    """The first line of a command's docstring, read from its source: importing all commands would be slow."""
    with open(os.path.join(HERE, f"{name.replace('-', '_')}.py"), encoding="utf-8") as file:
        return file.readline().strip('" \n')


def commands() -> tuple[str, ...]:
    """The commands there are, by file name."""
    import pkgutil

    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules([HERE]) if m.name[0] != "_"))
