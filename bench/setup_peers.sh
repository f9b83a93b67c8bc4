#!/usr/bin/env bash
# Makes the virtual environment with the programs ndarts is measured against: PyTorch, ONNX Runtime, OpenVINO.
#     bench/setup_peers.sh [FOLDER]      (default: build/peers)
# Takes some gigabytes, since PyTorch's package brings its CUDA libraries.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/peers}

if [ ! -x "$folder/bin/python" ]; then
    python3 -m venv "$folder"
fi
"$folder/bin/python" -m pip install --quiet --upgrade pip
"$folder/bin/python" -m pip install --quiet numpy onnx onnxruntime openvino torch
"$folder/bin/python" - <<'END'
import numpy, onnxruntime, openvino, torch
print("numpy", numpy.__version__, "torch", torch.__version__, "onnxruntime", onnxruntime.__version__, "openvino", openvino.__version__)
END
