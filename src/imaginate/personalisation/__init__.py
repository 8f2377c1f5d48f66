"""Personalisation: a dataset -> an adaptation on disk. One file per technique; `core/` is what they share.

A technique is a frozen keyword-only dataclass, found by its file's name (kind "techniques" of the registry). It says
which tensors learn and what conditions the denoiser (`build` returns a Learner); encoding, batches, precision,
averaging, checkpoints, sheets and resumption are the core's. `core/run.py` has `fit`.
"""
