// SPDX-License-Identifier: MIT
// The list of events, the newest first. The server tells of new ones over a WebSocket while the
// list is open; it is asked for the list again then, so that what is shown is what was asked for.
'use strict';

const SOON = 300;               // ms in which new events and letters of a filter are gathered
const PAGE = 50;                // events that are asked for at once
const panel = document.getElementById('events');
const filter = document.getElementById('filter');
const list = document.getElementById('event-list');
const older = document.getElementById('older');
const viewer = document.getElementById('event-picture');
const player = document.getElementById('event-clip');
const items = new Map();        // number of an event: its element
let next = null;                // what to ask for older ones with; null: there are none
let turn = 0;                   // of the questions: late answers to earlier ones are not shown
let timer, late;
let eventSocket;

function query() {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(filter))
    if (value)
      asked.set(name, name === 'from' || name === 'until' ? new Date(value).toISOString() : value);
  return asked;
}

// "person 7, in": what an event tells besides its kind and place.
function describe(event) {
  const { track, direction, dwell, occupancy, reason } = event.details;
  const who = [event.class, track].filter((part) => part !== undefined && part !== null).join(' ');
  const parts = [who, direction, reason];
  if (dwell !== undefined)
    parts.push(`after ${dwell.toFixed(1)} s`);
  if (occupancy !== undefined)
    parts.push(`${occupancy} inside`);
  return parts.filter(Boolean).join(', ');
}

function titleOf(camera) {
  return cards.get(camera)?.camera?.title ?? camera;
}

function captionOf(event) {
  return `${titleOf(event.camera)}: ${event.kind} ${event.zone ?? ''} ${describe(event)}, `
    + new Date(event.time).toLocaleString();
}

function showPicture(event, path) {
  viewer.querySelector('img').src = path;
  viewer.querySelector('p').textContent = captionOf(event);
  viewer.showModal();
}

function showClip(event, path) {
  const video = player.querySelector('video');
  const caption = player.querySelector('p');
  caption.textContent = captionOf(event);
  video.onerror = () => {
    // What a browser cannot show, H.265 in many, other players can.
    const link = document.createElement('a');
    link.href = path;
    link.download = `event-${event.id}.mp4`;
    link.textContent = 'This browser cannot play it; download the clip';
    caption.replaceChildren(link);
  };
  video.src = path;
  player.showModal();
  video.play().catch(() => {});
}

function makeItem(event) {
  const copy = document.getElementById('event').content.cloneNode(true);
  const item = copy.querySelector('li');
  const write = (selector, text) => {
    item.querySelector(selector).textContent = text;
  };
  item.dataset.id = event.id;
  item.dataset.kind = event.kind;
  write('.what', `${titleOf(event.camera)}: ${event.kind} ${event.zone ?? ''}`);
  write('.more', describe(event));
  write('time', new Date(event.time).toLocaleString());
  item.querySelector('time').dateTime = event.time;
  return item;
}

// The picture comes a moment after its event.
function addPicture(item, event) {
  const thumb = item.querySelector('.thumb');
  if (!event.snapshot || !thumb.hidden)
    return;
  const path = event.snapshot.replace(/^\//, '');
  thumb.querySelector('img').src = path;
  thumb.setAttribute('aria-label', `Picture of event ${event.id}`);
  thumb.addEventListener('click', () => showPicture(event, path));
  thumb.hidden = false;
}

function addClip(item, event) {
  const button = item.querySelector('.play');
  if (!event.clip || !button.hidden)
    return;
  button.addEventListener('click', () => showClip(event, event.clip.replace(/^\//, '')));
  button.hidden = false;
}

function showEvents(events, append) {
  const shown = events.map((event) => {
    const item = items.get(event.id) ?? makeItem(event);
    addPicture(item, event);
    addClip(item, event);
    return [event.id, item];
  });
  if (!append)
    items.clear();
  shown.forEach(([id, item]) => items.set(id, item));
  list.replaceChildren(...items.values());
  older.hidden = next === null;
  document.getElementById('no-events').hidden = items.size > 0;
}

async function askForEvents(below) {
  const asked = query();
  const mine = turn += 1;
  asked.set('limit', PAGE);
  if (below)
    asked.set('below', below);
  try {
    const answer = await ask('GET', `api/v1/events?${asked}`);
    if (mine !== turn)
      return;
    next = answer.next;
    showEvents(answer.events, Boolean(below));
  } catch (error) {
    tell(`Events: ${error.message}`);
  }
}

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = undefined;
    askForEvents();
  }, SOON);
}

// Hears of new events while the list is open.
function listen() {
  const wanted = panel.open && !document.hidden;
  if (!wanted) {
    eventSocket?.close();
    eventSocket = undefined;
  } else if (!eventSocket) {
    const url = new URL('api/v1/live-events', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    socket.onmessage = () => {
      socket.send('next');
      // Not while somebody looks at older ones, which would go.
      if (items.size > PAGE)
        return;
      if (timer === undefined)
        askSoon();
      // And once more, for pictures that come later.
      clearTimeout(late);
      late = setTimeout(askSoon, PATIENCE);
    };
    socket.onclose = () => {
      if (eventSocket !== socket)
        return;
      eventSocket = undefined;
      setTimeout(listen, PATIENCE);
    };
    eventSocket = socket;
    askForEvents();
  }
}

// The cameras to choose from; those that are gone may have events still.
function listCameras() {
  const select = filter.elements.camera;
  const known = new Set([...select.options].map((option) => option.value));
  for (const camera of cards.keys())
    if (!known.has(camera))
      select.add(new Option(camera, camera));
}

// What is not looked at is not loaded either.
player.addEventListener('close', () => {
  const video = player.querySelector('video');
  video.onerror = null;
  video.removeAttribute('src');
  video.load();
});
panel.addEventListener('toggle', () => {
  listCameras();
  listen();
});
filter.addEventListener('input', askSoon);
filter.addEventListener('focusin', listCameras);
filter.addEventListener('submit', (event) => event.preventDefault());
filter.addEventListener('reset', () => setTimeout(askSoon));
older.addEventListener('click', () => askForEvents(next));
document.addEventListener('visibilitychange', listen);
