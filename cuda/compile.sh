#!/bin/sh
# SPDX-License-Identifier: MIT
# compile.sh NVCC CC SOURCE NAME TOP OUTPUT DEPFILE FLAG...: compiles one .cu into an
# object that holds its fat binary as yolo_cuda_image_NAME. TOP is the folder that
# includes are relative to.

set -eu
nvcc=$1 cc=$2 source=$3 name=$4 top=$5 output=$6 depfile=$7
shift 7

"$nvcc" -fatbin -std=c++17 -O3 -I "$top" "$@" -MD -MF "$depfile" -MT "$output" \
  -o "$output.fatbin" "$source"
# The section is read-only, and aligned as CUDA's loader demands.
$cc -c -x assembler -o "$output" - <<END
  .section .rodata
  .global yolo_cuda_image_$name
  .hidden yolo_cuda_image_$name
  .balign 64
yolo_cuda_image_$name:
  .incbin "$output.fatbin"
  .byte 0
  .section .note.GNU-stack, "", %progbits
END
rm -f "$output.fatbin"
