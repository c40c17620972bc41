// SPDX-License-Identifier: MIT
// How many events there were each hour of a day, as bars, of those that the form asks for; and how
// many objects were in a zone at most.
'use strict';

const HOUR = 3600 * 1000;       // ms
const HOURS = 24;
const AGAIN = 60 * 1000;        // ms after which an open chart is drawn anew
const charts = document.querySelectorAll('#hours figure');
let askedHours = 0;             // late answers to earlier questions are not shown

// The begins of the hours that are shown, the newest last: those until `until`, or until now.
function shownHours() {
  const until = filter.elements.until.value;
  const end = until ? new Date(until).getTime() - 1 : Date.now();
  const last = Math.floor(end / HOUR) * HOUR;
  return Array.from({ length: HOURS }, (_, i) => last - (HOURS - 1 - i) * HOUR);
}

function drawBars(chart, begins, found) {
  const name = chart.dataset.count;
  const values = begins.map((begin) => found.get(begin)?.[name] ?? 0);
  const most = Math.max(1, ...values);
  const bars = begins.map((begin, i) => {
    const bar = document.createElement('div');
    const fill = document.createElement('div');
    const label = document.createElement('span');
    const hour = new Date(begin).getHours();
    bar.title = `${new Date(begin).toLocaleString()}: ${values[i]}`;
    bar.dataset.value = values[i];
    fill.className = 'fill';
    fill.style.height = `${Math.round(values[i] / most * 100)}%`;
    if (values[i] === most)
      fill.dataset.most = most;
    label.textContent = hour % 6 === 0 ? hour : '';
    bar.append(fill, label);
    return bar;
  });
  const drawn = chart.querySelector('.bars');
  drawn.replaceChildren(...bars);
  drawn.setAttribute('aria-label', `${chart.querySelector('figcaption').textContent}: at most `
    + `${Math.max(...values)}`);
  chart.hidden = name === 'occupancy' && Math.max(...values) === 0;
}

async function askForHours() {
  const begins = shownHours();
  const asked = query();
  const mine = askedHours += 1;
  asked.set('from', new Date(begins[0]).toISOString());
  try {
    const { hours } = await ask('GET', `api/v1/event-hours?${asked}`);
    const found = new Map(hours.map((hour) => [new Date(hour.time).getTime(), hour]));
    if (mine === askedHours)
      charts.forEach((chart) => drawBars(chart, begins, found));
  } catch (error) {
    tell(`Hours: ${error.message}`);
  }
}

let hoursTimer;

function drawHoursSoon() {
  clearTimeout(hoursTimer);
  if (!panel.open || document.hidden)
    return;
  hoursTimer = setTimeout(async () => {
    await askForHours();
    clearTimeout(hoursTimer);
    hoursTimer = setTimeout(drawHoursSoon, AGAIN);
  }, SOON);
}

panel.addEventListener('toggle', drawHoursSoon);
filter.addEventListener('input', drawHoursSoon);
filter.addEventListener('reset', () => setTimeout(drawHoursSoon));
document.addEventListener('visibilitychange', drawHoursSoon);
