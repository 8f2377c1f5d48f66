#!/usr/bin/env bash
# torch 2.14.1 (CPU, oneDNN): the gradient of depthwise weights is slow where the map is smaller than the kernel, and
# takes half of the time of fine-tuning a mobile network on small images.
#
# oneDNN writes fast code (jit) for both gradients of a convolution. For the gradient of the weights it refuses maps that
# are smaller than the kernel (a 5 x 5 kernel on a 4 x 4 map, 3 x 3 on 2 x 2), and a matrix product for each channel is
# run in its place. Those maps are the smallest layers of a network, where a user expects the least time. At 64 px the
# last third of EfficientNet-lite0 has such maps: an update of 64 images took 1.17 s, and 0.77 s with the same sums as one
# batched product (one thread of an AMD EPYC). Padding the map by hand before the convolution brings the fast code back.
#
# Seen:   5x5 on 6x6: jit; 5x5 on 4x4: gemm; 3x3 on 4x4: jit; 3x3 on 2x2: gemm; 5x5 on a padded 4x4: jit
# Exits 0 while torch behaves so, 1 when that changes. x86-64 with AVX2 (newer instruction sets are left out here).
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy
cat > "$place/gradient.py" <<'PYTHON'
import sys

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
size, kernel, by_hand = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "padded"
reach = kernel // 2
images = torch.rand(8, 32, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
weight = torch.rand(32, 1, kernel, kernel, requires_grad=True)
padded = F.pad(images, (reach,) * 4) if by_hand else images
F.conv2d(padded, weight, None, 1, 0 if by_hand else reach, 1, 32).sum().backward()
PYTHON
used() {
    ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_VERBOSE=1 "$place/venv/bin/python" "$place/gradient.py" "$@" 2>/dev/null |
        grep backward_weights | grep -o ',jit\|gemm' | head -1 | tr -d ,
}
found="5x5 on 6x6: $(used 6 5 plain); 5x5 on 4x4: $(used 4 5 plain); 3x3 on 4x4: $(used 4 3 plain); "
found+="3x3 on 2x2: $(used 2 3 plain); 5x5 on a padded 4x4: $(used 4 5 padded)"
"$place/venv/bin/python" -c "import torch; print('torch', torch.__version__)"
echo "$found"
if [ "$found" = "5x5 on 6x6: jit; 5x5 on 4x4: gemm; 3x3 on 4x4: jit; 3x3 on 2x2: gemm; 5x5 on a padded 4x4: jit" ]; then
    echo "as described"
else
    echo "changed"
    exit 1
fi
