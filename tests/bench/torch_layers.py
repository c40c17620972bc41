# SPDX-License-Identifier: MIT
"""Times the convolutions that bench-cuda lists (stdin) in PyTorch: half precision,
channels last, cuDNN's fastest algorithm, bias and SiLU eager and compiled."""

import sys

import torch
import torch.nn.functional as functional


def median_us(function, rounds=20):
    for _ in range(5):
        function()
    times = []
    for _ in range(rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(10):
            function()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 100)
    return sorted(times)[rounds // 2]


def main():
    torch.backends.cudnn.benchmark = True
    total = {'eager': 0.0, 'compiled': 0.0}
    for line in sys.stdin:
        fields = line.rstrip('\n').split('\t')
        n, h, w, c, o, groups, kh, kw, sh, sw, ph, pw, silu, _ = (int(field)
                                                                  for field in fields[1:])
        x = torch.randn(n, c, h, w, device='cuda',
                        dtype=torch.half).to(memory_format=torch.channels_last)
        weight = torch.randn(o, c // groups, kh, kw, device='cuda',
                             dtype=torch.half).to(memory_format=torch.channels_last)
        bias = torch.randn(o, device='cuda', dtype=torch.half)

        def layer(x=x, weight=weight, bias=bias, stride=(sh, sw), pad=(ph, pw), groups=groups,
                  silu=silu):
            y = functional.conv2d(x, weight, bias, stride, pad, 1, groups)
            return functional.silu(y) if silu else y

        with torch.no_grad():
            total['eager'] += median_us(layer)
            total['compiled'] += median_us(torch.compile(layer))
    for name, us in total.items():
        print(f'batch {sys.argv[1]}, all convolutions, {name}: {us:.0f} us')


if __name__ == '__main__':
    main()
