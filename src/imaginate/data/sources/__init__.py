"""One file per kind of image source: where the bytes of one image are. The file name is the word by which a pool that
keeps references names the kind.

Sources are frozen, picklable and small; handles are opened when read, in each process.
"""
