# SPDX-License-Identifier: MIT
"""Pipelines of GStreamer, run by gst-launch-1.0 and ended where that does not end by itself."""

import contextlib
import os
import signal
import subprocess
import threading
import time

from . import DataError

PROGRAM = 'gst-launch-1.0'
# Seconds that a pipeline has to end after it has told an error, and to take its leave when it is
# asked to: gst-launch-1.0 of GStreamer 1.22 sometimes prints ERROR and waits for ever.
PATIENCE = 10
# Lines of what a pipeline says that are kept.
KEPT = 200


class Pipeline:
    """A pipeline, a list of words, that runs; `what` is what its errors begin with. fds: files
    that it inherits."""

    def __init__(self, line, what, fds=(), options=()):
        self.what, self.said, self.failed = what, [], threading.Event()
        try:
            self.process = subprocess.Popen(
                [PROGRAM, '-q', *options, *line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors='replace', pass_fds=fds)
        except FileNotFoundError:
            raise DataError(f'{PROGRAM} is not installed: it is in Debian\'s '
                            'gstreamer1.0-tools') from None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.process.stdout:
            for row in self.process.stdout:
                if len(self.said) < KEPT:
                    self.said.append(row)
                if row.startswith('ERROR'):
                    self.failed.set()

    def ended(self, seconds):
        """Whether it ends within so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, how=signal.SIGTERM):
        """Ends it, if it has not ended: by a signal, and by force when that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            if not self.ended(PATIENCE):
                self.process.kill()
                self.process.wait()
        # A process that it left behind may keep the output open.
        self.reader.join(PATIENCE)

    def wait(self, seconds=None):
        """Until it has ended, an error has been told, or so many seconds are over, which the
        result says: whether it has ended by then. It is left running only then."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self.ended(.1):
            if self.failed.is_set():
                if not self.ended(PATIENCE):
                    self.stop()
                return True
            if until is not None and time.monotonic() >= until:
                return False
        self.reader.join(PATIENCE)
        return True

    def check(self):
        """Fails where the pipeline did, which has ended."""
        text = ''.join(self.said)
        if 'no element "yolo' in text:
            raise DataError('GStreamer does not find the plugin; set GST_PLUGIN_PATH')
        if self.process.returncode or self.failed.is_set():
            reasons = [row for row in self.said if row.startswith('ERROR')]
            raise DataError(f'{self.what}: ' + (reasons or [
                text.strip() or f'{PROGRAM} ended with {self.process.returncode}'])[0].strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def launch(line, what):
    """Runs a pipeline, a list of words, to its end."""
    with Pipeline(line, what) as pipeline:
        pipeline.wait()
        pipeline.check()


@contextlib.contextmanager
def output(line, what):
    """Runs a pipeline whose last element writes what comes out of it; gives a binary file of that.
    Who leaves before its end ends the pipeline; who reads it to its end hears of its failure."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, 'rb') as file:
        try:
            pipeline = Pipeline([*line, '!', 'fdsink', f'fd={theirs}'], what, fds=(theirs,))
        finally:
            os.close(theirs)
        with pipeline:
            yield Drained(file, pipeline)


class Drained:
    """What a pipeline writes. A pipeline that told an error but does not end is ended."""

    def __init__(self, file, pipeline):
        self.file, self.pipeline = file, pipeline
        threading.Thread(target=pipeline.wait, daemon=True).start()

    def read(self, count):
        """So many bytes; fewer at the end."""
        data = self.file.read(count)
        if len(data) < count:
            self.pipeline.wait()
            self.pipeline.check()
        return data
