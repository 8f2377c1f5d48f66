"""One file per kind of thing that a pool is built from; `pool/listing.py` asks each in turn.

images/                      a folder of images at any depth; captions in 000.txt, metadata in 000.json next to them
shards/*.tar, laion/         WebDataset tars with captions, or the output folder of img2dataset
part-*.parquet               rows with image bytes, and captions, URLs, scores, licences where they have them
index/                       clip-retrieval: img_emb/*.npy or image.index, with metadata/*.parquet
images.csv                   paths with captions, URLs, licences; a class is not needed
anything else                whatever `imaginate` reads as a dataset (zip, npz, manifest, HF dataset, a run)
"""
