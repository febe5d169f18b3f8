#!/bin/sh
# install.sh VENV VARIANT [TORCH_INDEX_URL]: the locked dependencies, for the container image.
#
# torch's ordinary build for Linux is the CUDA one. A CPU image takes PyTorch's CPU builds when their index is
# named: the same versions as in the lock, which holds no hashes of those files. Where no index is named, the
# parts of CUDA that torch only looks for on a GPU are removed again. What libtorch links stays: without it
# `import torch` fails.
set -eu
venv=$1 variant=$2 index=${3:-}
lock=requirements.txt

install() { "$venv/bin/python" -m pip install --no-cache-dir --disable-pip-version-check "$@"; }
pin() { sed -n "s/^\($1==[^ ]*\).*/\1/p" "$lock"; }

case "$variant:$index" in
cuda:*)
  install --require-hashes -r "$lock" ;;
cpu:)
  install --require-hashes -r "$lock"
  "$venv/bin/python" -m pip uninstall --yes --quiet triton nvidia-cusolver nvidia-nvjitlink
  find "$venv" -path '*/nvidia/cudnn/lib/libcudnn_*' -delete ;;
cpu:*)
  install --no-deps --index-url "$index" "$(pin torch)" "$(pin torchvision)"
  awk '/^[a-z]/ { wanted = $0 !~ /^(cuda-|nvidia-|triton==)/ } wanted' "$lock" > lock-cpu.txt
  install --require-hashes -r lock-cpu.txt ;;
*)
  echo "VARIANT is cpu or cuda, not '$variant'" >&2; exit 2 ;;
esac

# Fail here rather than at the first request: import, run a convolution and a factorisation.
"$venv/bin/python" -c '
import open_clip, torch, torchvision
torch.nn.Conv2d(3, 8, 4)(torch.ones(1, 3, 8, 8)); torch.linalg.svd(torch.eye(4))
print("torch", torch.__version__, "torchvision", torchvision.__version__, "open_clip", open_clip.__version__)'
