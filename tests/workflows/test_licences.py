"""Licences: what the files of the sources say, by run, and what each asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imaginate
from imaginate.cli import main
from imaginate.workflows.licences import NOT_SAID, what_it_asks
from worlds import folder


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("CC0", "nothing"),
        ("Public Domain Mark 1.0", "nothing"),
        ("cc-by-4.0", "name the author"),
        ("https://creativecommons.org/licenses/by-nc-nd/2.0/", "no commercial use; changed images"),
        ("Attribution-NonCommercial-ShareAlike License", "no commercial use; share them under the same licence"),
        ("creativeml-openrail-m", "use restrictions"),
        ("apache-2.0", "keep its notice"),
        ("flux-1-dev-non-commercial-license", "no commercial use"),
        ("odbl", "same licence"),
        ("?", "nothing is said"),
        (NOT_SAID, "nothing is said"),
        ("My Own Terms 3", "read it"),
    ],
)
def test_what_a_licence_asks(licence: str, words: str) -> None:
    assert words in what_it_asks(licence)


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("README.md", "---\nlicense: cc-by-sa-4.0\n---\n# Ants\n", "cc-by-sa-4.0"),
        ("README.md", "---\nlicense: [mit, cc0-1.0]\n---\n", "mit, cc0-1.0"),
        ("README.md", "---\nlicense: other\nlicense_name: ants-only\n---\n", "ants-only"),
        ("dataset_info.json", json.dumps({"default": {"license": "CC BY 4.0"}}), "CC BY 4.0"),
        ("datapackage.json", json.dumps({"licenses": [{"name": "ODC-BY-1.0"}]}), "ODC-BY-1.0"),
        ("LICENSE", "\n\nMIT License\n\nCopyright", "MIT License"),
        ("README.md", "---\nlicense: [\n---\n", NOT_SAID),
        ("dataset_info.json", "[" * 100_000, NOT_SAID),
        ("README.md", "no front matter", NOT_SAID),
    ],
)
def test_the_seeds_licence_is_read_from_the_files_next_to_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, licence: str
) -> None:
    data = folder(tmp_path / "data", ("ant",), each=2)
    imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, progress=False)
    (data / name).write_text(text)
    (part,) = imaginate.inspect(tmp_path / "run").licences().parts
    assert (part.what, part.licence, part.images) == ("seeds", licence, 4)
    assert main(["inspect", str(tmp_path / "run"), "--licences"]) == 0
    assert f"licence  {licence}" in capsys.readouterr().out
