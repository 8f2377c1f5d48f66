"""The folder of a fit: a state that cannot be gone on from is one line that says what to do."""

from pathlib import Path

import pytest
import torch

from imaginate.errors import RunError
from imaginate.personalisation.core.store import STATE, Store


def test_a_damaged_state_says_how_to_go_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.state_file.parent.mkdir()
    whole = dict.fromkeys(STATE, torch.zeros(100))
    store.save_state(whole)
    assert store.load_state("cpu") is not None
    data = store.state_file.read_bytes()
    for damaged in (b"", b"no state", data[: len(data) // 2], data[:-10]):
        store.state_file.write_bytes(damaged)
        with pytest.raises(RunError) as caught:
            store.load_state("cpu")
        ending = "state.pt is damaged: it is not the whole state of a fit; delete it to begin again"
        assert str(caught.value).endswith(ending)
