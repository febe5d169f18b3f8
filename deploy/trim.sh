#!/bin/sh
# trim.sh VENV VARIANT: takes out of an installation what its image does not need, and tries what is left.
set -eu
venv=$1 variant=$2

remove() {
  "$venv/bin/python" -m pip list --format=freeze | sed 's/==.*//' | grep -Ex "$1" \
    | xargs -r "$venv/bin/python" -m pip uninstall --yes --quiet
}

case $variant in
cpu)
  remove "$(paste -sd '|' torch-only.txt)|setuptools"
  # OpenVINO for other devices, and its readers of other formats. Its Python imports TensorFlow's.
  find "$venv" -path '*/openvino/libs/*' \( -name '*_gpu_*' -o -name cache.json -o -name '*_npu_*' \
    -o -name '*_frontend.so*' ! -name '*_ir_*' ! -name '*_tensorflow_frontend*' \) -delete
  # As the image's user, who owns nothing here.
  (cd / && CANDID_TEXT_CACHE_BYTES=0 setpriv --reuid 10001 --regid 10001 --clear-groups \
    "$venv/bin/python" -m app.model_loading) ;;
torch)
  # Parts of CUDA that torch only looks for on a GPU. What libtorch links stays: without it `import torch` fails.
  # With a build for CPUs there is none of this.
  remove 'triton|nvidia-cusolver|nvidia-nvjitlink'
  find "$venv" -path '*/nvidia/cudnn/lib/libcudnn_*' -delete ;;
esac

# Fail here rather than at the first request: import, run a convolution and a factorisation.
[ "$variant" = cpu ] || "$venv/bin/python" -c '
import open_clip, torch, torchvision
torch.nn.Conv2d(3, 8, 4)(torch.ones(1, 3, 8, 8)); torch.linalg.svd(torch.eye(4))
print("torch", torch.__version__, "torchvision", torchvision.__version__, "open_clip", open_clip.__version__)'

"$venv/bin/python" -m pip uninstall --yes --quiet pip
