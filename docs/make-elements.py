#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/elements.md, the reference of the elements, out of the plugin itself.

    GST_PLUGIN_PATH=build/gst-plugin docs/make-elements.py > docs/elements.md
    GST_PLUGIN_PATH=build/gst-plugin docs/make-elements.py --check docs/elements.md

--check prints TAP and fails where the file is not what the plugin says.
"""

import sys

try:
    import gi
    gi.require_version('Gst', '1.0')
    from gi.repository import GObject, Gst
except (ImportError, ValueError) as error:
    print(f'1..0 # SKIP needs the Python bindings of GStreamer (python3-gst-1.0): {error}')
    sys.exit(0)

HEAD = """# The elements

Written by `docs/make-elements.py` out of the plugin; `gst-inspect-1.0 NAME` has the same, \
and the formats that a build takes. [gst-plugin/README.md](../gst-plugin/README.md) explains.

"When" says when a property can be set: at any time; *paused*, up to PAUSED; *ready*, before the \
element starts. Properties that GStreamer gives to every element (`name`, `parent`, `qos`) are \
left out.
"""
INHERITED = ('GstBaseTransform', 'GstElement', 'GstObject', 'GObject')
NUMBERS = {'gint': 'int', 'guint': 'uint', 'gint64': 'int64', 'guint64': 'uint64',
           'gfloat': 'float', 'gdouble': 'double'}


def number(value):
    if isinstance(value, float):
        return f'{value:.6g}'
    # The largest number of a type stands for no limit.
    return 'max' if value in (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1) else str(value)


def nicks(value):
    """The nicks of an enumeration, by one of its values: PyGObject 3.50 has none in the pspec."""
    return [v.value_nick for _, v in sorted(type(value).__enum_values__.items())]


def type_of(element, pspec):
    """What a property takes, in words."""
    name = pspec.value_type.name
    if pspec.value_type.is_a(GObject.TYPE_ENUM):
        return ', '.join(f'`{nick}`' for nick in nicks(element.get_property(pspec.name)))
    if name in NUMBERS:
        return f'{NUMBERS[name]}, {number(pspec.minimum)} to {number(pspec.maximum)}'
    return {'gchararray': 'string', 'gboolean': 'true, false',
            'GstStructure': 'structure'}.get(name, name)


def default_of(element, pspec):
    """Of an element that nobody has changed yet."""
    if pspec.value_type.is_a(GObject.TYPE_ENUM):
        return f'`{element.get_property(pspec.name).value_nick}`'
    value = getattr(pspec, 'default_value', None)
    if value is None:
        return ''
    if isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, (int, float)) else f'`{value}`'


def when_of(pspec):
    flags = int(pspec.flags)
    if not flags & int(GObject.ParamFlags.WRITABLE):
        return 'read only'
    if flags & int(Gst.PARAM_MUTABLE_PLAYING):
        return 'any time'
    if flags & int(Gst.PARAM_MUTABLE_PAUSED):
        return 'paused'
    return 'ready'


def cell(text):
    return text.replace('|', '\\|').replace('\n', ' ')


def element_text(name):
    """One element's chapter."""
    element = Gst.ElementFactory.make(name)
    factory = element.get_factory()
    properties = [p for p in element.list_properties() if p.owner_type.name not in INHERITED]
    lines = [f'\n## {name}\n',
             f'{factory.get_metadata("description")}. Class: {factory.get_metadata("klass")}.\n',
             '| property | takes | default | when | |', '|---|---|---|---|---|']
    for p in sorted(properties, key=lambda p: p.name):
        lines.append(f'| `{p.name}` | {cell(type_of(element, p))} | {cell(default_of(element, p))} '
                     f'| {when_of(p)} | {cell(p.blurb)} |')
    signals = []
    for number_ in GObject.signal_list_ids(element):
        query = GObject.signal_query(number_)
        if query.itype == element.__gtype__:
            signals.append(query)
    for query in signals:
        takes = ', '.join(t.name for t in query.param_types)
        lines.append(f'\nSignal `{query.signal_name}` ({takes}), returns {query.return_type.name}.')
    return '\n'.join(lines) + '\n'


def main():
    Gst.init(None)
    features = sorted(f.get_name() for f in Gst.Registry.get().get_feature_list_by_plugin('yolo'))
    if not features:
        sys.exit(
            'make-elements.py: the plugin is not found; set GST_PLUGIN_PATH to build/gst-plugin')
    text = HEAD + ''.join(element_text(name) for name in features)
    if sys.argv[1:2] != ['--check']:
        sys.stdout.write(text)
        return 0
    with open(sys.argv[2], encoding='utf-8') as written:
        there = written.read()
    good = there == text
    print('1..1')
    print(f'{"ok" if good else "not ok"} 1 - {sys.argv[2]} is what the plugin says')
    if not good:
        print('# make it anew: '
              'GST_PLUGIN_PATH=build/gst-plugin docs/make-elements.py > docs/elements.md')
        for a in text.splitlines():
            if a not in there:
                print('# the plugin has: ' + a)
    return not good


if __name__ == '__main__':
    sys.exit(main())
