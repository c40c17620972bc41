# SPDX-License-Identifier: MIT
"""Tables by which the plugin runs a network of floats in 8 bits, made by the plugin out of pictures
like those that the network will see."""

import os
import tempfile

from . import label
from .pipeline import launch

MOST = 200                                      # pictures, as many as the plugin takes by itself


def table_of(path):
    """Where the plugin, and yolo-time, look for a network's table."""
    stem, ending = os.path.splitext(path)
    return (stem if ending == '.onnx' else path) + '.int8'


def calibrated(path, folder, pictures, size):
    """The path of a link in FOLDER to the network, beside which its table lies, and not beside the
    user's file. The table is made of MOST of the pictures, JPEG files, evenly chosen, if it is not
    there. size: (rows, columns) of the network's input."""
    os.makedirs(folder, exist_ok=True)
    link = os.path.join(folder, os.path.basename(path))
    if not os.path.lexists(link):
        os.symlink(os.path.abspath(path), link)
    if not os.path.exists(table_of(link)):
        count = min(len(pictures), MOST)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = os.path.join(work, 'table.int8')
            launch([*label.stream([pictures[i * len(pictures) // count] for i in range(count)],
                                  work), '!', 'yoloinfer', f'model-file={path}',
                    f'input-size={size[1]}x{size[0]}', f'calibrate={made}',
                    f'calibration-frames={count}', '!', 'fakesink'], path)
            os.replace(made, table_of(link))
    return link
