#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints expected.h: what OpenCV, Pillow and Python's arithmetic give for letterboxes and crops.

    python3 -m venv venv && venv/bin/pip install opencv-python-headless pillow
    venv/bin/python tests/image/expected.py > tests/image/expected.h

The pictures are random bytes out of the generator of tests/guarded.h, so that
only a hash of each result (FNV-1a, 64 bits) has to be kept. Made with OpenCV
4.12 and 5.0, which agree, and Pillow 13.0.
"""

import cv2
import numpy as np
from PIL import Image

M32, M64 = 2**32 - 1, 2**64 - 1


def random_bytes(seed, n):
    state = (seed + 1442695040888963407) & M64
    out = bytearray()
    for i in range(n + 1):
        s = state
        state = (s * 6364136223846793005 + 1442695040888963407) & M64
        x, rot = (((s >> 18) ^ s) >> 27) & M32, s >> 59
        if i:  # the first number is thrown away, as random_new() does
            out.append(((x >> rot | x << (-rot & 31)) & M32) >> 24)
    return bytes(out)


def fnv1a(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = ((h ^ b) * 0x100000001b3) & M64
    return h


def geometry(w, h, net_w, net_h):
    """Of LetterBox with auto=False: scaled size, left, right, top, bottom."""
    gain = min(net_h / h, net_w / w)
    sw, sh = max(round(w * gain), 1), max(round(h * gain), 1)
    dw, dh = (net_w - sw) / 2, (net_h - sh) / 2
    return sw, sh, round(dw - 0.1), round(dw + 0.1), round(dh - 0.1), round(dh + 0.1)


def to_frame(box, w, h, net_w, net_h):
    """Of scale_boxes: a box of the network's input in pixels of the frame."""
    sw, sh = geometry(w, h, net_w, net_h)[:2]
    pad = [round((net_w - sw) / 2 - 0.1), round((net_h - sh) / 2 - 0.1)] * 2
    gain, limit = [sw / w, sh / h] * 2, [w, h] * 2
    return [min(max((v - p) / g, 0), m) for v, p, g, m in zip(box, pad, gain, limit)]


def auto(w, h, size, stride):
    """The size of LetterBox's result with auto=True."""
    gain = min(size / h, size / w)
    sw, sh = max(round(w * gain), 1), max(round(h * gain), 1)
    dw, dh = np.mod(size - sw, stride) / 2, np.mod(size - sh, stride) / 2
    return sw + round(dw - 0.1) + round(dw + 0.1), sh + round(dh - 0.1) + round(dh + 0.1)


def letterbox(img, net_w, net_h):
    h, w = img.shape[:2]
    sw, sh, left, right, top, bottom = geometry(w, h, net_w, net_h)
    if (sw, sh) != (w, h):
        img = cv2.resize(img, (sw, sh), interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(img, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114,) * 3)


def crop_geometry(w, h, net_w, net_h):
    """Of torchvision's Resize and CenterCrop: scaled size, left, top."""
    if net_w != net_h:  # Resize of both sides
        return net_w, net_h, 0, 0
    sw, sh = net_w, net_h
    if w > h:
        sw = int(net_w * w / h)
    else:
        sh = int(net_h * h / w)
    return sw, sh, round((sw - net_w) / 2.0), round((sh - net_h) / 2.0)


def crop(img, net_w, net_h):
    h, w = img.shape[:2]
    sw, sh, left, top = crop_geometry(w, h, net_w, net_h)
    # rows first, as before Pillow 13, which begins with the columns of very tall pictures
    scaled = Image.fromarray(img).resize((sw, h), Image.Resampling.BILINEAR)
    scaled = scaled.resize((sw, sh), Image.Resampling.BILINEAR)
    return np.asarray(scaled)[top:top + net_h, left:left + net_w]


FRAMES = [(1920, 1080), (1280, 720), (810, 1080), (768, 576), (640, 480), (640, 640), (641, 479),
          (1, 1), (16384, 2), (2, 16384), (7680, 4320), (3, 5), (1001, 601), (500, 333), (333, 500),
          (101, 1000), (1280, 601)]  # 300.5 rows: to the even neighbour
NETS = [(640, 640), (640, 384), (320, 320), (96, 160)]
PICTURES = [(40, 30, 64, 64), (64, 48, 32, 32), (64, 64, 32, 32), (96, 64, 32, 32),
            (33, 57, 64, 64), (32, 32, 32, 32), (7, 5, 64, 32), (1, 1, 32, 32), (1, 40, 32, 32),
            (40, 1, 32, 32), (200, 3, 64, 32), (3, 200, 64, 32),
            (81, 108, 64, 64), (77, 58, 64, 48), (100, 60, 64, 64), (31, 31, 32, 32),
            (65, 63, 64, 64), (2, 2, 64, 64), (128, 72, 64, 40), (129, 73, 64, 40),
            (63, 127, 32, 64), (90, 50, 96, 160), (45, 87, 32, 32), (19, 88, 64, 64),
            (88, 19, 64, 64), (50, 50, 33, 47), (13, 17, 53, 29), (111, 37, 37, 111),
            (60, 40, 20, 20), (64, 36, 32, 18), (1254, 16, 333, 8),
            (16, 1254, 8, 333)]  # positions that float rounds otherwise than double
CROPS = [(64, 48, 32, 32), (48, 64, 32, 32), (64, 64, 32, 32), (32, 32, 32, 32), (31, 77, 32, 32),
         (200, 51, 20, 20), (51, 200, 20, 20), (90, 50, 64, 32), (90, 50, 32, 64), (7, 5, 32, 32),
         (1, 1, 8, 8), (1, 40, 8, 8), (40, 1, 8, 8), (333, 100, 17, 17), (129, 97, 33, 33),
         (640, 360, 24, 24), (75, 50, 33, 33), (32, 77, 32, 32)]


def main():
    print("/* SPDX-License-Identifier: MIT */\n/* Made by expected.py. */\n\n#include <stdint.h>\n")
    print("static const struct {\n  int src_width, src_height, net_width, net_height;\n"
          "  int width, height, left, top;\n  float net_box[4], box[4];\n} letterbox_cases[] = {")
    for w, h in FRAMES:
        for nw, nh in NETS:
            sw, sh, left, _, top, _ = geometry(w, h, nw, nh)
            box = [0.3 * nw, 0.45 * nh, nw - 3.25, nh - 10.5]
            print("  { %d, %d, %d, %d, %d, %d, %d, %d," % (w, h, nw, nh, sw, sh, left, top))
            print("    { %s }, { %s } }," % (
                ", ".join("%.9gf" % v if v % 1 else "%d.0f" % v for v in box),
                ", ".join("%.9gf" % v if "." in "%.9g" % v else "%.9g.0f" % v
                          for v in to_frame(box, w, h, nw, nh))))
    print("};\n\nstatic const struct {\n"
          "  int src_width, src_height, size, stride, net_width, net_height;\n"
          "} auto_cases[] = {")
    for w, h in FRAMES:
        for size, stride in (640, 32), (1280, 64), (320, 32):
            print("  { %d, %d, %d, %d, %d, %d }," % (w, h, size, stride, *auto(w, h, size, stride)))
    print("};\n\n/* BGR in, RGB out. */\nstatic const struct {\n"
          "  int width, height, net_width, net_height;\n"
          "  uint64_t seed, hash;\n} picture_cases[] = {")
    for seed, (w, h, nw, nh) in enumerate(PICTURES):
        img = np.frombuffer(random_bytes(seed, w * h * 3), np.uint8).reshape(h, w, 3)
        out = np.ascontiguousarray(letterbox(img, nw, nh)[..., ::-1])
        print("  { %d, %d, %d, %d, %d, UINT64_C (0x%016x) },"
              % (w, h, nw, nh, seed, fnv1a(out.tobytes())))
    print("};\n\n/* RGB in, RGB out; `left` and `top` are what is cut off there. */\n"
          "static const struct {\n  int src_width, src_height, net_width, net_height;\n"
          "  int width, height, left, top;\n  uint64_t seed, hash;\n} crop_cases[] = {")
    for seed, (w, h, nw, nh) in enumerate(CROPS):
        img = np.frombuffer(random_bytes(seed, w * h * 3), np.uint8).reshape(h, w, 3)
        out = np.ascontiguousarray(crop(img, nw, nh))
        print("  { %d, %d, %d, %d, %d, %d, %d, %d, %d, UINT64_C (0x%016x) },"
              % (w, h, nw, nh, *crop_geometry(w, h, nw, nh), seed, fnv1a(out.tobytes())))
    print("};")


main()
