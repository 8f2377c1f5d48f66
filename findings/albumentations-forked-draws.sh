#!/usr/bin/env bash
# albumentations 2.0.8: forked workers of a data loader draw the same augmentations, and the same again in every epoch.
#
# Compose has a generator of its own (NumPy's, from the system's entropy where no seed is given), which nothing seeds anew
# in a worker. A DataLoader forks its workers at the start of each epoch (Linux, persistent_workers=False, the default):
# each begins with the parent's state, which never moves on. So images at the same place of two workers get one
# augmentation, and epoch 2 shows exactly what epoch 1 showed: random augmentation becomes a fixed one. Seeding random and
# numpy in worker_init_fn, the known remedy, has no effect here; set_random_seed of the Compose, with a number of the
# worker and the epoch (torch.initial_seed() % 2**32), does. The script forks as a DataLoader does, which draws the same.
#
# Seen:   two workers, two epochs: one sequence of draws; 4 of 4 equal; in one process: 4 sequences; with set_random_seed
#         in each worker: 4 sequences
# Exits 0 while albumentations behaves so, 1 when that changes. Where processes can be forked.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check albumentations==2.0.8 numpy
NO_ALBUMENTATIONS_UPDATE=1 "$place/venv/bin/python" - <<'PYTHON'
import multiprocessing
import random
import sys

import albumentations
import numpy as np

picture = np.full((8, 8, 3), 100, np.uint8)
augment = albumentations.Compose([albumentations.RandomBrightnessContrast(p=1)])
forked = multiprocessing.get_context("fork")


def draws():
    return tuple(int(augment(image=picture)["image"][0, 0, 0]) for _ in range(6))


def work(worker, epoch, is_mended, out):
    """What a worker of a data loader does: seed what is known by the worker's own number, then augment."""
    random.seed(10 * epoch + worker)
    np.random.seed(10 * epoch + worker)
    if is_mended:
        augment.set_random_seed(10 * epoch + worker)
    out.put(draws())


def of_workers(is_mended):
    found = []
    for epoch in range(2):
        out = forked.Queue()
        workers = [forked.Process(target=work, args=(n, epoch, is_mended, out)) for n in range(2)]
        for worker in workers:
            worker.start()
        found += [out.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
    return found


found, mended = of_workers(False), of_workers(True)
alone = [draws() for _ in range(4)]
print("albumentations", albumentations.__version__)
print(f"two workers, two epochs: {found}")
print(f"different sequences: {len(set(found))} of 4; in one process {len(set(alone))}; with set_random_seed {len(set(mended))}")
is_so = len(set(found)) == 1 and len(set(alone)) == 4 and len(set(mended)) == 4
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
