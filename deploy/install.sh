#!/bin/sh
# install.sh VENV VARIANT [TORCH_INDEX_URL]: the locked dependencies, for the container image. Every variant begins
# with torch, because the embedded model's export is made by it; trim.sh takes out what a variant does not keep.
#
# torch's ordinary build for Linux is the CUDA one. Where PyTorch's index of CPU builds is named, the same versions
# as in the lock are taken from there; the lock holds no hashes of those files.
set -eu
venv=$1 variant=$2 index=${3:-}
lock=requirements.txt

install() { "$venv/bin/python" -m pip install --no-cache-dir --disable-pip-version-check "$@"; }
pin() { sed -n "s/^\($1==[^ ]*\).*/\1/p" "$lock"; }

case "$variant:$index" in
cuda:* | cpu: | torch:)
  install --require-hashes -r "$lock" ;;
cpu:* | torch:*)
  install --no-deps --index-url "$index" "$(pin torch)" "$(pin torchvision)"
  awk '/^[a-z]/ { wanted = $0 !~ /^(cuda-|nvidia-|triton==)/ } wanted' "$lock" > lock-cpu.txt
  install --require-hashes -r lock-cpu.txt ;;
*)
  echo "VARIANT is cpu, torch or cuda, not '$variant'" >&2; exit 2 ;;
esac
