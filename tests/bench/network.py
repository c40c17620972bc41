#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Network time: the CPU back end against OpenVINO and ONNX Runtime on the same
file, size and threads, taking turns in one run.

    $(tests/bench/venv.sh) tests/bench/network.py [--model FILE]... [--size HxW] [--threads N]
                                                  [--rounds N]

Prints medians in milliseconds per image and the ratio of ours to each peer's:
the median over rounds of one round's medians. Below 1 ours is faster.

In int8 each peer runs the file that it is fastest on, which quantise.py makes
out of the float one. Ours runs twice: the float file by the table beside it,
and OpenVINO's file as that file says. OpenVINO runs twice as well: with f32
for what stays in floats, and with bf16, its own choice on CPUs that have it.
"""

import argparse
import os
import statistics
import subprocess
import time

import numpy as np
import onnxruntime as ort
import openvino as ov

import quantise

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
PROGRAM = os.path.join(TOP, 'build', 'tests', 'bench', 'bench-network')


class Ours:
    """bench-network in a process of its own, which waits for its turn."""

    def __init__(self, model, precision, batch, size, threads):
        self.process = subprocess.Popen(
            [PROGRAM, model, precision, str(batch), str(size[0]), str(size[1]), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, count):
        self.process.stdin.write(f'{count}\n')
        self.process.stdin.flush()
        times = [float(ms) for ms in self.process.stdout.readline().split()]
        if not times:
            raise RuntimeError('bench-network said why, above')
        return times

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(call, count):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return times


class OpenVino:
    def __init__(self, model, precision, batch, size, threads):
        core = ov.Core()
        network = core.read_model(model)
        network.reshape([batch, 3, *size])
        compiled = core.compile_model(network, 'CPU', {
            'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
            'INFERENCE_NUM_THREADS': threads, 'PERFORMANCE_HINT': 'LATENCY'})
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(ov.Tensor(np.random.rand(batch, 3, *size).astype(np.float32)))

    def run(self, count):
        return timed(self.request.infer, count)

    def close(self):
        pass


class OnnxRuntime:
    def __init__(self, model, precision, batch, size, threads):
        if precision == 'bf16':
            raise ValueError('it has no bf16')
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait in a loop would take the others' turns.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self.session = ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])
        self.input = {self.session.get_inputs()[0].name:
                      np.random.rand(batch, 3, *size).astype(np.float32)}
        self.run(1)

    def run(self, count):
        return timed(lambda: self.session.run(None, self.input), count)

    def close(self):
        pass


def choose_sides(model, precision, size):
    """(name, class, file, precision) of all that take turns."""
    if precision != 'int8':
        return [('ours', Ours, model, precision), ('OpenVINO', OpenVino, model, precision),
                ('ONNX Runtime', OnnxRuntime, model, precision)]
    readers, everything = (quantise.quantise(model, form, size) for form in ('readers', 'all'))
    return [('ours', Ours, model, 'int8'), ('ours of QDQ', Ours, readers, 'int8'),
            ('ours fp32', Ours, model, 'fp32'), ('OpenVINO', OpenVino, readers, 'fp32'),
            ('OpenVINO and bf16', OpenVino, readers, 'bf16'),
            ('ONNX Runtime', OnnxRuntime, everything, 'int8')]


def take_turns(sides, batch, rounds, runs):
    """Medians of each round in milliseconds an image, by side."""
    medians = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            medians[name].append(statistics.median(side.run(runs)) / batch)
    return medians


def describe(medians, base):
    line = ''
    for name, times in medians.items():
        line += f'  {name} {statistics.median(times):.2f} ms'
        if name != base:
            ratios = [a / b for a, b in zip(medians[base], times)]
            line += f' ({base} / it {statistics.median(ratios):.2f})'
    return line


def measure(model, precision, batch, size, threads, rounds, runs):
    sides = {}
    for name, kind, file, of_file in choose_sides(model, precision, size):
        try:
            sides[name] = kind(file, of_file, batch, size, threads)
            sides[name].run(3)
        # a file of fixed shape has no other batch, a peer no bf16, a model no table
        except Exception as error:
            sides.pop(name, None)
            if name == 'ours' and precision != 'int8':
                raise
            print(f'    {name}: left out ({str(error).splitlines()[0][:80]})', flush=True)
    medians = take_turns(sides, batch, rounds, runs)
    for side in sides.values():
        side.close()
    for base in [name for name in ('ours', 'ours of QDQ') if name in sides]:
        print(f'{os.path.basename(model):24} {precision} batch {batch} '
              f'{size[0]}x{size[1]}{describe(medians, base)}',
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', action='append',
                        help='an .onnx file; default: the demo\'s, a YOLOv8s')
    parser.add_argument('--size', default='640x640')
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--runs', type=int, default=5, help='runs of one side in a row')
    parser.add_argument('--batch', type=int, action='append')
    parser.add_argument('--precision', action='append', choices=['fp32', 'bf16', 'int8'])
    arguments = parser.parse_args()
    models = arguments.model or [subprocess.run(
        [os.path.join(TOP, 'tests/scripts/fetch.sh'), 'model'], stdout=subprocess.PIPE, text=True,
        check=True).stdout.strip()]
    size = tuple(int(n) for n in arguments.size.split('x'))
    for model in models:
        for precision in arguments.precision or ['fp32', 'bf16', 'int8']:
            for batch in arguments.batch or [1, 8]:
                measure(model, precision, batch, size, arguments.threads, arguments.rounds,
                        max(1, arguments.runs // batch))


if __name__ == '__main__':
    main()
