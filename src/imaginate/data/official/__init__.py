"""Layouts of published data sets, one small file each, found by the registry: names, label numbers and splits as the
publisher (and torchvision) gives them, whatever the folders are called."""
