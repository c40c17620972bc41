# SPDX-License-Identifier: MIT
"""What came of an optimisation, as a page (OUTPUT.html) and as data (OUTPUT.json): times, sizes and
agreement with the teacher side by side, what is to be doubted, curves, the worst pictures, and the
line that runs the network."""

import base64
import html
import io
import json
import os

import numpy as np
import torch
from PIL import Image, ImageDraw

from . import agree, cost, data

# Pictures that are shown, and how wide each is.
SHOWN, WIDTH = 12, 480
# Columns and rows of the small pictures by which frames are told apart.
SMALL = 64, 36
# Warnings are given where more of the teacher's labels than that are below that confidence, and
# where fewer objects judge.
UNSURE, SURE, FEW = .4, .5, 50
# Times of two networks that differ by less are the same.
SAME = 1.05
STYLE = ('body{font:15px sans-serif;max-width:62em;margin:2em auto;padding:0 1em}'
         'table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:right;'
         'border-bottom:1px solid #ccc}td:first-child,th:first-child{text-align:left}'
         'img{width:100%}.warning{background:#fe9;padding:.5em 1em}'
         'pre{background:#eee;padding:1em;overflow-x:auto}')
COLUMNS = (('name', 'network', '{}'), ('size', 'input', '{}'), ('precision', 'precision', '{}'),
           ('ms', 'ms a picture', '{:.2f}'), ('bytes', 'KiB', '{}'), ('ap', 'AP50-95', '{:.3f}'),
           ('ap50', 'AP50', '{:.3f}'), ('f1', 'F1', '{:.3f}'), ('threshold', 'at', '{:.2f}'),
           ('general_ap', 'general AP50-95', '{:.3f}'), ('general_ap50', 'general AP50', '{:.3f}'),
           ('general_f1', 'general F1', '{:.3f}'))


def precisions(path, options):
    """Those that the CPU of this machine offers, beside the one that the run was for. Whole numbers
    of 8 bits are everywhere, if not fast."""
    offered = []
    for name in ('fp32', 'bf16') if cost.program() else ():
        try:
            cost.network_time(path, options.size, name, options.threads)
            offered.append(name)
        except data.DataError:
            continue                            # this CPU has no instructions for it
    return [*offered, 'int8']


def cell(row, key, form):
    value = row.get(key)
    if value is None:
        return ''
    if key == 'size':
        return f'{value[1]}x{value[0]}'
    return form.format(value >> 10 if key == 'bytes' else value)


def table(rows):
    """[[text]]: a head and a line for each row, without what no row has."""
    columns = [column for column in COLUMNS if any(column[0] in row for row in rows)]
    return [[head for _, head, _ in columns]] + [[cell(row, key, form) for key, _, form in columns]
                                                 for row in rows]


def thumbnails(folder):
    """[pictures][rows][columns] of grey levels, small."""
    small = []
    for path in data.pictures_of(folder):
        with Image.open(path) as image:
            small.append(np.asarray(image.convert('L').resize(SMALL), np.float32))
    return np.stack(small)


def alike(train, judge):
    """How far pictures that judge are from the nearest of those that were learnt, as a part of how
    far two that were learnt one after the other are from each other: medians of mean differences of
    small pictures. About 1 or less: they show the same."""
    learnt = thumbnails(train)
    between = np.median(np.abs(learnt[1:] - learnt[:-1]).mean((1, 2)))
    nearest = [np.abs(learnt - each).mean((1, 2)).min() for each in thumbnails(judge)]
    return float(np.median(nearest) / max(between, 1e-6))


def confidences(frames, part):
    """Of all labels of a part that a teacher wrote; those made by hand have none."""
    found = []
    with open(os.path.join(frames, 'labels.jsonl'), encoding='utf-8') as lines:
        for picture in map(json.loads, lines):
            if picture['image'].startswith(part + '/'):
                found += [each['confidence'] for each in picture['objects']
                          if 'confidence' in each]
    return np.array(found)


def warnings(rows, student, options, classes):
    """Sentences on what is to be doubted."""
    train, judge = (os.path.join(options.work, 'frames', part) for part in ('train', 'judge'))
    said = []
    nearness = alike(train, judge)
    if nearness <= 1:
        said.append('the frames that judge look like those that were learnt (they differ by '
                    f'{nearness:.2f} of what neighbours differ by): the figures flatter; give a '
                    'longer video')
    sure = confidences(os.path.join(options.work, 'frames'), 'train')
    if len(sure) and (sure < SURE).mean() > UNSURE:
        said.append(f'the teacher is unsure: {(sure < SURE).mean():.0%} of its labels have a '
                    f'confidence below {SURE}; give a larger --teacher or --teacher-size')
    objects = sum(len(data.labels_of(path, classes, options.form))
                  for path in data.pictures_of(judge))
    if objects < FEW:
        said.append(f'only {objects} objects judge: a few decide; give a longer video')
    before = rows[0]
    for key, name in (('ap', 'AP50-95'), ('f1', 'F1')):
        if student[key] < before[key]:
            said.append(f'{name} fell from {before[key]:.3f} to {student[key]:.3f}; learn longer '
                        '(--epochs), or keep more (--keep)')
    for row in rows[1:]:
        stock = row['name'].startswith(('before, smaller', 'compared'))
        if (stock and row['ap'] > student['ap'] and 'ms' in row
                and row['ms'] <= student['ms'] * SAME):
            said.append(f'"{row["name"]}" agrees better ({row["ap"]:.3f} against '
                        f'{student["ap"]:.3f}) and is as fast: use that')
    return said


def curves(work):
    """[(name, epochs' losses on held-out pictures)] of all that learnt."""
    found = []
    for folder, _, files in sorted(os.walk(work)):
        if 'last.ckpt' in files:
            state = torch.load(os.path.join(folder, 'last.ckpt'), map_location='cpu',
                               weights_only=True)
            found.append((os.path.relpath(folder, work), state.get('held out', [])))
    return found


def drawn(lines):
    """Curves as SVG."""
    longest = max((len(values) for _, values in lines), default=0)
    most = max((value for _, values in lines for value in values), default=0)
    if longest < 2 or most <= 0:
        return ''
    parts = []
    for i, (name, values) in enumerate(lines):
        points = ' '.join(f'{40 + 500 * x / (longest - 1):.1f},{190 - 180 * value / most:.1f}'
                          for x, value in enumerate(values))
        colour = f'hsl({i * 137 % 360},70%,40%)'
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/><text x="550" '
                     f'y="{20 + 16 * i}" fill="{colour}">{html.escape(name)}</text>')
    return (f'<svg viewBox="0 0 800 200" font-size="12"><text x="0" y="14">{most:.2f}</text>'
            '<text x="0" y="190">0</text>' + ''.join(parts) + '</svg>')


def mistakes(found, wanted, threshold):
    kept = agree.above(found, threshold)
    return len(kept) + len(wanted) - 2 * len(agree.matched(kept, wanted))


def boxes_of(row, picture):
    return torch.tensor(row['found'][picture]).reshape(-1, 6)


def side_by_side(path, wanted, rows, picture):
    """A JPEG of the picture, once for each row: what the teacher sees in white, what the network
    finds in red."""
    with Image.open(path) as image:
        image = image.convert('RGB')
    image = image.resize((WIDTH, max(round(image.height * WIDTH / image.width), 1)))
    canvas = Image.new('RGB', (WIDTH * len(rows), image.height))
    for i, row in enumerate(rows):
        copy = image.copy()
        draw = ImageDraw.Draw(copy)
        scale = torch.tensor([image.width, image.height] * 2)
        for boxes, colour, width in ((wanted, 'white', 3), (agree.above(
                boxes_of(row, picture), row['threshold']), 'red', 1)):
            for box in boxes[:, 1:5]:
                x1, y1, x2, y2 = (box * scale).tolist()
                draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=width)
        canvas.paste(copy, (WIDTH * i, 0))
    packed = io.BytesIO()
    canvas.save(packed, 'JPEG', quality=80)
    return base64.b64encode(packed.getvalue()).decode()


def pictures(before, student, options, classes):
    """HTML: the worst pictures first, before and after."""
    paths = data.pictures_of(os.path.join(options.work, 'frames', 'judge'))
    wanted = [data.labels_of(path, classes, options.form) for path in paths]
    bad = [(mistakes(boxes_of(student, i), wanted[i], student['threshold']),
            mistakes(boxes_of(before, i), wanted[i], before['threshold']), i)
           for i in range(len(paths))]
    bad.sort(key=lambda each: (each[1] - each[0], -each[0], each[2]))
    parts = []
    for after, first, i in bad[:SHOWN]:
        packed = side_by_side(paths[i], wanted[i], (before, student), i)
        name = html.escape(os.path.basename(paths[i]))
        parts.append(f'<p>{name}: {first} mistakes before, {after} after<br>'
                     f'<img alt="{name}" src="data:image/jpeg;base64,{packed}"></p>')
    return ''.join(parts)


def launch_line(rows, student, options):
    """With the threshold that suits the precision which the run was for."""
    precision = '' if options.precision == 'auto' else f'precision={options.precision} '
    if options.precision == 'int8':
        student = next(row for row in rows if row['name'] == 'student, int8')
    return (f'gst-launch-1.0 ... ! yoloinfer model-file={options.output} '
            f'input-size={options.size[1]}x{options.size[0]} {precision}'
            f'confidence-threshold={student["threshold"]} ! ...')


def quantize_line(options):
    stem = os.path.splitext(options.output)[0]
    return f'yolo-quantize {options.output} {stem}.int8 -o {stem}-int8.onnx'


def judges_of(options):
    """Whose boxes are those that judge."""
    return ' and '.join(name for name, given in (
        ('the teacher', options.video), ('labels by hand', options.labels)) if given)


def forgotten(rows, student, options):
    """A sentence on what the student has lost of the rest of the world."""
    if 'general_ap' not in student:
        return 'What the network forgets of the rest of the world is not measured (--general).'
    return (f'Of the rest of the world, the pictures of {options.general}, AP50-95 was '
            f'{rows[0]["general_ap"]:.3f} before and is {student["general_ap"]:.3f}, F1, at the '
            f'thresholds above, {rows[0]["general_f1"]:.3f} and {student["general_f1"]:.3f}: the '
            'difference is what was forgotten.')


def page(rows, student, options, said, classes):
    cells = table(rows)
    lines = ''.join('<tr>' + ''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in line)
                    + '</tr>' for tag, line in zip(['th'] + ['td'] * len(rows), cells))
    doubts = ''.join(f'<p class="warning">{html.escape(text)}</p>' for text in said)
    name = html.escape(os.path.basename(options.output))
    return (f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
            f'<style>{STYLE}</style><h1>{name}</h1>{doubts}<table>{lines}</table>'
            f'<p>AP and F1 are agreement with {judges_of(options)}, on frames that nothing was '
            'learnt or chosen by; what a teacher sees is not the truth. F1 is at the threshold '
            'that was the best on others. '
            'Times are of the CPU of this machine. '
            f'{html.escape(forgotten(rows, student, options))}</p>'
            f'<pre>{html.escape(launch_line(rows, student, options))}</pre>'
            '<p>The plugin runs it in 8 bits too, with precision=int8, by the table beside it. For '
            f'other runtimes:</p><pre>{html.escape(quantize_line(options))}</pre>'
            '<h2>Loss on held-out frames, epoch by epoch</h2>' + drawn(curves(options.work))
            + f'<h2>Before and after, the worst first</h2><p>White: {judges_of(options)}. Red: the '
            'network, before on the left, after on the right.</p>'
            + pictures(rows[0], student, options, classes) + '</html>\n')


def write(rows, student, options, classes):
    """Writes both files beside the output; gives lines for the terminal. rows: of judged(), the
    first of the network as it was; student: the row of the one that was written."""
    said = warnings(rows, student, options, classes)
    stem = os.path.splitext(options.output)[0]
    plain = [{key: value for key, value in row.items() if key != 'found'} for row in rows]
    texts = {stem + '.json': json.dumps({'networks': plain, 'student': student['name'],
                                         'keep': options.keep, 'warnings': said,
                                         'line': launch_line(rows, student, options),
                                         'quantize': quantize_line(options)}, indent=1) + '\n',
             stem + '.html': page(rows, student, options, said, classes)}
    for path, text in texts.items():
        with open(path + '.part', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(path + '.part', path)
    cells = table(rows)
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ['  '.join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
             for line in cells]
    if options.general:
        lines.append(forgotten(rows, student, options))
    return (lines + [f'warning: {text}' for text in said]
            + [f'{stem}.html shows it; to run it:', launch_line(rows, student, options),
               'and for other runtimes, in 8 bits:', quantize_line(options)])
