"""What a finished bar says is what was done."""

from __future__ import annotations

import re
import time

import pytest

from imaginate.progress import bar


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_bar_without_a_total_ends_with_what_was_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("reading", None) as shown:
        for _ in range(8):
            shown.advance()
        shown.note("read 8 images")
    line = last_line(capsys)
    assert line.startswith("read 8 images")
    assert "8/8" in line
    assert re.search(r"[\d,]+\.\d images/s", line), line


def test_what_was_finished_earlier_is_shown_and_does_not_count_in_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("making", 100, done=90) as shown:
        time.sleep(0.1)
        shown.advance(10)
    line = last_line(capsys)
    assert "100/100" in line
    found = re.search(r"([\d,]+\.\d) images/s", line)
    assert found, line
    assert 0 < float(found[1].replace(",", "")) <= 100, "10 images in at least 0.1 s"


def test_a_bar_that_is_broken_off_keeps_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        with bar("making", 10) as shown:
            shown.advance(4)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert "4/10" in last_line(capsys)


def test_off_a_terminal_a_line_a_minute_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imaginate.progress.MINUTE", 0.05)
    with bar("training", 200.0, unit="") as shown:
        shown.advance(50)
        time.sleep(0.3)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left" in line]
    assert len(lines) >= 2
    assert re.fullmatch(r"training: 25 %, about 1 s left", lines[0].strip()), lines
