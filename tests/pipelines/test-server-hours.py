#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-server's counts of events each hour, and the page's chart of them."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from tap import folder, run_cases, wait_until
from wall import Browser, Server

STEADY = 'stall-after: 600'


def zones():
    """A file of a zone that everything is in."""
    path = os.path.join(folder(), 'zones.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'zones': [{'name': 'all', 'points': [[0, 0], [1, 0], [1, 1], [0, 1]]}]}, file)
    return path


def hours(server, query=''):
    answer = server.ask('GET', f'api/v1/event-hours?{query}')
    assert answer.status == 200, answer.body
    return answer.json['hours']


def hours_are_counted():
    """They say the same as the list of events."""
    with Server(f'a: {{uri: "test:smpte", zones: {zones()}, {STEADY}}}\n'
                f'b: {{uri: "test:snow", tracker: none, {STEADY}}}', 'confidence: 0') as server:
        wait_until(lambda: hours(server, 'camera=a&kind=enter'))
        wait_until(lambda: hours(server, 'camera=b'))
        # Others may come meanwhile.
        until = server.ask('GET', 'api/v1/events').json['events'][0]['time']
        events = server.ask('GET', f'api/v1/events?limit=500&until={until}').json['events']
        counted = hours(server, f'until={until}')
        assert sum(hour['events'] for hour in counted) == len(events) > 0, (counted, events)
        inside = [event['details'].get('occupancy', 0) for event in events]
        assert max(hour['occupancy'] or 0 for hour in counted) == max(inside), (counted, inside)
        assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:00:00.000000Z', hour['time'])
                   for hour in counted), counted
        assert hours(server, 'camera=b')[0]['occupancy'] is None
        assert hours(server, 'kind=nothing') == [] == hours(server, 'until=2020-01-01T00:00:00Z')
        for wrong, says in (('from=2020-01-01T00:00:00Z', 'give less'), ('from=x', 'a time')):
            answer = server.ask('GET', f'api/v1/event-hours?{wrong}')
            assert answer.status == 400 and says in answer.json['error'], answer.body


def the_page_draws_them():
    """A day of bars, of the events that the form asks for, in light and dark."""
    with Server(f'a: {{uri: "test:smpte", zones: {zones()}, {STEADY}}}\n'
                f'b: {{uri: "test:ball", enabled: false, events: [up, down], {STEADY}}}',
                'confidence: 0\nevents: [enter, up]') as server, Browser() as browser:
        wait_until(lambda: hours(server, 'camera=a&kind=enter'))
        browser.open(server.url)
        wait_until(lambda: browser.run('return cards.size') == 2)

        def bars(name):
            return browser.run('return [...document.querySelectorAll("#hours [data-count='
                               f'{name}] .bars > div")].map((bar) => Number(bar.dataset.value))')

        def narrow(name, value):
            browser.run(f'const e = document.getElementById("filter").elements["{name}"];'
                        f'e.value = "{value}";'
                        'e.dispatchEvent(new Event("input", {bubbles: true}))')
        assert bars('events') == [], 'nobody asks while it is closed'
        browser.run('document.querySelector("#events summary").click()')
        wait_until(lambda: sum(bars('events')) > 0)
        assert len(bars('events')) == 24 == len(bars('occupancy'))
        assert max(bars('occupancy')) > 0
        heights = browser.run('return [...document.querySelectorAll("#hours .fill")]'
                              '.map((fill) => fill.getBoundingClientRect().height)')
        assert max(heights) > 50 and min(heights) == 0, heights
        colours = set()
        for theme in 'dark', 'light':
            while browser.run('return document.documentElement.dataset.theme') != theme:
                browser.run('document.getElementById("theme").click()')
            colours.add(browser.run('return getComputedStyle('
                                    'document.querySelector("#hours .fill")).backgroundColor'))
        assert len(colours) == 2 and 'rgba(0, 0, 0, 0)' not in colours, colours
        narrow('kind', 'up')
        wait_until(lambda: sum(bars('events')) == 1)
        assert browser.run('return document.querySelector("#hours [data-count=occupancy]").hidden')
        narrow('camera', 'b')
        wait_until(lambda: sum(bars('events')) == 0)
        narrow('camera', '')
        narrow('until', '2001-01-01T00:00')
        wait_until(lambda: sum(bars('events')) == 0 and len(bars('events')) == 24)
        browser.run('document.querySelector("#filter [type=reset]").click()')
        wait_until(lambda: sum(bars('events')) > 1)
        assert not browser.console(), browser.console()


def main():
    run_cases([hours_are_counted, the_page_draws_them])


if __name__ == '__main__':
    main()
