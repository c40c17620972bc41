// SPDX-License-Identifier: MIT
// Lines and zones of a camera, drawn on its picture. Each change is sent at once; what the server
// refuses is taken back. docs/zones.md describes the object that is sent.
'use strict';

const NEAR = 12;                // pixels of the screen within which a click means a corner
const editor = document.getElementById('zones-editor');
const board = editor.querySelector('canvas');
let edited;                     // { card, config }, or undefined: the editor is closed
let drawing;                    // { kind, points } that are being drawn, or undefined
let dragged;                    // the point that is being moved, or undefined

// Places are shares of the frame, or pixels of `frame`.
function frameSize() {
  return edited.config.frame ?? [1, 1];
}

function shapesOf(kind) {
  edited.config[kind] ??= [];
  return edited.config[kind];
}

function drawShape(context, points, closed, marked) {
  const [width, height] = frameSize();
  const places = points.map(([x, y]) => [x / width * board.width, y / height * board.height]);
  context.beginPath();
  places.forEach(([x, y]) => context.lineTo(x, y));
  if (closed)
    context.closePath();
  context.strokeStyle = '#000';
  context.lineWidth = 5;
  context.stroke();
  context.strokeStyle = marked ? '#ffd740' : '#fff';
  context.lineWidth = 2;
  context.stroke();
  context.fillStyle = context.strokeStyle;
  places.forEach(([x, y]) => context.fillRect(x - 4, y - 4, 8, 8));
  return places[0];
}

function drawBoard() {
  if (!edited)
    return;
  const { canvas } = edited.card;
  if (board.width !== canvas.width || board.height !== canvas.height) {
    board.width = canvas.width;
    board.height = canvas.height;
  }
  const context = board.getContext('2d');
  context.drawImage(canvas, 0, 0);
  context.font = '13px system-ui, sans-serif';
  for (const kind of ['lines', 'zones'])
    for (const shape of shapesOf(kind)) {
      const [x, y] = drawShape(context, shape.points, kind === 'zones', false);
      drawText(context, shape.name, x, y, '#fff');
    }
  if (drawing?.points.length)
    drawShape(context, drawing.points, false, true);
  setTimeout(() => requestAnimationFrame(drawBoard), 100);
}

function complain(text) {
  editor.querySelector('[role=alert]').textContent = text;
}

function listShapes() {
  const rows = ['lines', 'zones'].flatMap((kind) => shapesOf(kind).map((shape) => {
    const row = document.createElement('li');
    const name = document.createElement('input');
    const remove = document.createElement('button');
    name.value = shape.name;
    name.maxLength = 100;
    name.setAttribute('aria-label', kind === 'lines' ? 'Name of a line' : 'Name of a zone');
    name.addEventListener('change', () => {
      shape.name = name.value;
      save();
    });
    remove.type = 'button';
    remove.textContent = 'Remove';
    remove.addEventListener('click', () => {
      shapesOf(kind).splice(shapesOf(kind).indexOf(shape), 1);
      save();
    });
    row.dataset.kind = kind;
    row.append(kind === 'lines' ? 'line ' : 'zone ', name, remove);
    return row;
  }));
  editor.querySelector('ul').replaceChildren(...rows);
}

async function load() {
  const { card } = edited;
  const config = await ask('GET', `api/v1/cameras/${card.name}/zones`);
  if (edited?.card === card) {
    edited.config = config;
    listShapes();
  }
}

async function save() {
  const { card, config } = edited;
  complain('');
  listShapes();
  try {
    await ask('PUT', `api/v1/cameras/${card.name}/zones`, config);
  } catch (error) {
    complain(error.message);
    load().catch((trouble) => complain(trouble.message));
  }
}

function finish() {
  const { kind, points } = drawing;
  const taken = new Set(shapesOf(kind).map((shape) => shape.name));
  let number = 1;
  while (taken.has(`${kind === 'lines' ? 'line' : 'zone'} ${number}`))
    number += 1;
  shapesOf(kind).push({ name: `${kind === 'lines' ? 'line' : 'zone'} ${number}`, points });
  begin(undefined);
  save();
}

function begin(kind) {
  drawing = kind && { kind, points: [] };
  editor.querySelector('.hint').textContent = { lines: 'Click on both ends of the line.',
    zones: 'Click on each corner of the zone, and at last on the first one again.' }[kind]
    ?? 'Corners can be dragged.';
}

// Where an event is, as the configuration has it.
function placeOf(event) {
  const box = board.getBoundingClientRect();
  const share = (at, start, length) => Math.min(1, Math.max(0, (at - start) / length));
  const [width, height] = frameSize();
  const round = (number) => Math.round(number * 1e4) / 1e4;
  return [round(share(event.clientX, box.left, box.width) * width),
    round(share(event.clientY, box.top, box.height) * height)];
}

function isNear(event, [x, y]) {
  const box = board.getBoundingClientRect();
  const [width, height] = frameSize();
  return Math.hypot(event.clientX - box.left - x / width * box.width,
    event.clientY - box.top - y / height * box.height) < NEAR;
}

board.addEventListener('pointerdown', (event) => {
  if (drawing) {
    const { kind, points } = drawing;
    if (kind === 'zones' && points.length > 2 && isNear(event, points[0])) {
      finish();
      return;
    }
    points.push(placeOf(event));
    if (kind === 'lines' && points.length === 2)
      finish();
    return;
  }
  dragged = ['lines', 'zones'].flatMap((kind) => shapesOf(kind))
    .flatMap((shape) => shape.points).find((point) => isNear(event, point));
  if (dragged)
    board.setPointerCapture(event.pointerId);
});
board.addEventListener('pointermove', (event) => {
  if (dragged)
    [dragged[0], dragged[1]] = placeOf(event);
});
board.addEventListener('pointerup', () => {
  if (dragged)
    save();
  dragged = undefined;
});
editor.querySelector('.draw-line').addEventListener('click', () => begin('lines'));
editor.querySelector('.draw-zone').addEventListener('click', () => begin('zones'));
editor.addEventListener('close', () => {
  edited = drawing = dragged = undefined;
});

async function editZones(card) {
  edited = { card, config: {} };
  begin(undefined);
  complain('');
  editor.querySelector('h2').textContent = card.camera.title ?? card.name;
  editor.showModal();
  drawBoard();
  try {
    await load();
  } catch (error) {
    complain(error.message);
  }
}

wall.addEventListener('click', (event) => {
  const button = event.target.closest('.edit-zones');
  if (button)
    editZones(cards.get(button.closest('article').dataset.name));
});
