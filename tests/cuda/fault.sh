#!/bin/sh
# SPDX-License-Identifier: MIT
# fault.sh NVCC TOP OUTPUT EXPRESSION: the PTX of a convolution's kernel with a fault
# put in by sed; an expression that changes nothing is an error.

set -eu
nvcc=$1 top=$2 output=$3 expression=$4
folder=$output.d
mkdir -p "$folder/cuda/kernels"
if [ "$expression" = p0 ]; then expression=; fi
sed "$expression" "$top/cuda/kernels/conv_mma.cuh" >"$folder/cuda/kernels/conv_mma.cuh"
if [ -n "$expression" ] \
    && cmp -s "$top/cuda/kernels/conv_mma.cuh" "$folder/cuda/kernels/conv_mma.cuh"; then
  echo "fault.sh: \"$expression\" changes nothing in conv_mma.cuh" >&2
  exit 1
fi
"$nvcc" -ptx -arch=compute_80 -std=c++17 -O3 -I "$folder" -I "$top" -o "$output" \
  "$top/tests/cuda/fault.cu"
