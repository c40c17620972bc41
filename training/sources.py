# SPDX-License-Identifier: MIT
"""Where frames come from: videos, folders of pictures and videos, cameras that speak RTSP.

A source has a `name`, gives a small grey picture of each of its frames, by which those that differ
are chosen, and then writes these as JPEG files. A video is decoded twice for that, since all of a
day's frames are too much for a disk.
"""

import os
import signal

import numpy as np
from PIL import Image

from . import DataError, pipeline

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.ts', '.m2ts', '.mts', '.mpg', '.mpeg',
          '.flv', '.wmv', '.3gp', '.ogv', '.h264', '.264', '.h265', '.265')
CAMERAS = ('rtsp://', 'rtsps://', 'rtspt://', 'rtspu://')
# Columns and rows of a small picture. Each of its pixels is the mean of a part of the frame, small
# enough that somebody far away changes it and large enough that noise does not.
COLUMNS, ROWS = 32, 18
QUALITY = 95                                    # of JPEG files


def picture(path):
    """An Image, read whole."""
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as why:
        raise DataError(f'{path}: cannot be read ({why}); remove it or write it again') from None


def keep(path, to):
    """Copies a picture to a JPEG file that the plugin reads: as it is where it is one already."""
    image = picture(path)
    if image.format == 'JPEG' and image.mode == 'RGB':
        with open(path, 'rb') as file, open(to, 'wb') as copy:
            copy.write(file.read())
    else:
        image.convert('RGB').save(to, 'JPEG', quality=QUALITY)


class Folder:
    """Pictures, in the order of their names."""

    def __init__(self, name, paths):
        self.name, self.paths = name, paths

    def small(self):
        """[frames][ROWS * COLUMNS], grey levels as uint8."""
        frames = [np.asarray(picture(path).convert('L').resize((COLUMNS, ROWS),
                                                               Image.Resampling.BOX)).ravel()
                  for path in self.paths]
        return np.stack(frames)

    def write(self, paths):
        """paths: {number of a frame: the path of the JPEG file that is written}"""
        for number, path in paths.items():
            keep(self.paths[number], path)

    def origin(self, number):
        """What a frame is, for people."""
        return {'source': self.paths[number]}


class Video:
    """A file; `rate` frames a second are looked at, or all, where it has fewer."""

    def __init__(self, path, rate):
        self.name, self.rate = path, rate

    def output(self, caps, *more):
        return pipeline.output(
            ['filesrc', f'location={self.name}', '!', 'decodebin', '!', 'videorate',
             'drop-only=true', '!', f'video/x-raw,framerate=[0/1,{self.rate}/1]', '!',
             # bilinear2 reads every pixel, where bilinear would leave most of them out
             'videoconvert', '!', 'videoscale', 'add-borders=false', 'method=bilinear2', '!',
             f'video/x-raw,{caps}',
             *more], self.name)

    def small(self):
        frames = []
        caps = f'format=GRAY8,width={COLUMNS},height={ROWS},pixel-aspect-ratio=1/1'
        with self.output(caps) as made:
            while len(frame := made.read(ROWS * COLUMNS)) == ROWS * COLUMNS:
                frames.append(frame)
        if not frames:
            raise DataError(f'{self.name}: there is no frame in it; give a video that plays')
        return np.frombuffer(b''.join(frames), np.uint8).reshape(len(frames), -1)

    def write(self, paths):
        """It is not decoded beyond the last of the frames."""
        left = dict(paths)
        with self.output('format=RGB', '!', 'pnmenc') as made:
            number = 0
            while left and (frame := read_ppm(made)):
                if number in left:
                    frame.save(left.pop(number), 'JPEG', quality=QUALITY)
                number += 1
        if left:
            raise DataError(f'{self.name}: had {number} frames when it was read again, fewer than '
                            'before; give a file that nobody writes')

    def origin(self, number):
        return {'source': self.name, 'frame': number, 'frames_per_second': self.rate}


def read_ppm(file):
    """The next of the binary pixmaps that follow each other; None at the end."""
    words, word = [], b''
    while len(words) < 4:                       # P6, columns, rows, the largest level
        byte = file.read(1)
        if not byte:
            return None
        if byte == b'#' and not word:           # a comment, to the end of its line
            while file.read(1) not in (b'\n', b''):
                pass
        elif not byte.isspace():
            word += byte
        elif word:
            words.append(word)
            word = b''
    size = int(words[1]), int(words[2])
    pixels = file.read(3 * size[0] * size[1])
    if len(pixels) < 3 * size[0] * size[1]:
        return None
    return Image.frombytes('RGB', size, pixels)


def record(address, seconds, path):
    """Writes what a camera sends for so many seconds, as it is. What came before it failed is
    kept; True: it failed."""
    part = path + '.part'
    line = ['rtspsrc', f'location={address}', 'name=camera', 'camera.', '!',
            'application/x-rtp,media=video', '!', 'parsebin', '!', 'matroskamux', '!', 'filesink',
            f'location={part}']
    with pipeline.Pipeline(line, address, options=['-e']) as recording:
        early = recording.wait(seconds)
        # gst-launch-1.0 ends the stream at this signal, and the file with it.
        recording.stop(signal.SIGINT)
        if not os.path.exists(part) or os.path.getsize(part) == 0:
            recording.check()
            raise DataError(f'{address}: sent no video in {seconds} s; give --duration more')
    os.replace(part, path)
    return early


def inside(folder, rate):
    """The sources in a folder and the folders in it."""
    found = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        paths = [os.path.join(place, name) for name in sorted(names)]
        pictures = [path for path in paths if path.lower().endswith(PICTURES)]
        if pictures:
            found.append(Folder(place, pictures))
        found += [Video(path, rate) for path in paths if path.lower().endswith(VIDEOS)]
    if not found:
        raise DataError(f'{folder}: no picture and no video in it (' +
                        ', '.join(PICTURES + VIDEOS) + ')')
    return found


def is_camera(name):
    return name.lower().startswith(CAMERAS)


def check(names, duration):
    """Fails where a name is nothing that frames could come from."""
    for name in names:
        if is_camera(name):
            if not duration:
                raise DataError(f'{name}: sends without an end; say for how many seconds by '
                                '--duration')
        elif '://' in name:
            raise DataError(f'{name}: is no address of a camera; give rtsp://, a file or a folder')
        elif not os.path.exists(name):
            raise DataError(f'{name}: there is no such file')


def find(names, rate, duration, recordings, say=lambda text: None):
    """Sources of these names: files, folders, and cameras, which are recorded for `duration`
    seconds into the folder `recordings`, where what was recorded before is taken again."""
    check(names, duration)
    found = []
    for place, name in enumerate(names):
        if is_camera(name):
            path = os.path.join(recordings, f'{place}.mkv')
            os.makedirs(recordings, exist_ok=True)
            if not os.path.exists(path):
                say(f'{name} is recorded for {duration} s')
                if record(name, duration, path):
                    say(f'{name} ended early; what it has sent is used')
            found.append(Video(path, rate))
        elif os.path.isdir(name):
            found += inside(name, rate)
        elif name.lower().endswith(PICTURES):
            found.append(Folder(name, [name]))
        else:
            found.append(Video(name, rate))
    return found
