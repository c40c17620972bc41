// SPDX-License-Identifier: MIT
// The wall of cameras. Each camera has a WebSocket, over which comes, for each picture, what is on
// it as JSON and then the picture as JPEG, so that boxes are drawn on the picture that they belong
// to. The page says "next" when it has drawn one: a slow page gets fewer, and none late. Cameras
// that cannot be seen are not watched. Texts go into the page as texts, never as HTML.
'use strict';

const PERIOD = 1000;            // ms between two looks at the cameras' states
const PATIENCE = 2000;          // ms before a connection is tried again
const COLOURS = ['#ff5252', '#40c4ff', '#69f0ae', '#ffd740', '#e040fb', '#ffab40', '#64ffda',
  '#b2ff59'];
const wall = document.getElementById('wall');
const cards = new Map();        // name of a camera: Card

// A colour for a name, the same each time.
function colour(text) {
  let sum = 0;
  for (const letter of text)
    sum = (sum * 31 + letter.codePointAt(0)) >>> 0;
  return COLOURS[sum % COLOURS.length];
}

function isChecked(id) {
  return document.getElementById(id).checked;
}

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const said = text ? JSON.parse(text) : {};
  if (!answer.ok)
    throw new Error(said.error ?? `the server answers ${answer.status}`);
  return said;
}

function tell(trouble) {
  const place = document.getElementById('trouble');
  place.textContent = trouble;
  place.hidden = !trouble;
}

// Text with a ground, so that it can be read on any picture.
function drawText(context, text, x, y, ground) {
  const width = context.measureText(text).width + 8;
  const left = Math.max(0, Math.min(x, context.canvas.width - width));
  const top = Math.max(0, y - 18);
  context.fillStyle = ground;
  context.fillRect(left, top, width, 18);
  context.fillStyle = '#000';
  context.fillText(text, left + 4, top + 13);
}

function drawZones(context, found) {
  const { width, height } = context.canvas;
  const shapes = [...(found.lines ?? []), ...(found.zones ?? [])];
  context.strokeStyle = '#fff';
  for (const shape of shapes) {
    context.beginPath();
    for (let i = 0; i + 1 < shape.points.length; i += 2)
      context.lineTo(shape.points[i] * width, shape.points[i + 1] * height);
    if (shape.occupancy !== undefined)
      context.closePath();
    context.stroke();
    const counts = shape.occupancy ?? `${shape.forward} / ${shape.backward}`;
    drawText(context, `${shape.name}: ${counts}`, shape.points[0] * width,
      shape.points[1] * height, '#fff');
  }
}

function drawObjects(context, found) {
  const { width, height } = context.canvas;
  for (const thing of found.objects) {
    const [x, y, w, h] = thing.box;
    const name = thing.id === undefined ? thing.label : `${thing.label} ${thing.id}`;
    context.strokeStyle = colour(thing.label);
    if (isChecked('show-boxes'))
      context.strokeRect(x * width, y * height, w * width, h * height);
    if (isChecked('show-labels'))
      drawText(context, name, x * width, y * height, colour(thing.label));
  }
}

// What a control of a setting says; null takes the setting away.
function readControl(control) {
  if (control.dataset.key === 'classes') {
    const names = control.value.split(',').map((name) => name.trim()).filter(Boolean);
    return names.length ? names : null;
  }
  if (control.value === '')
    return null;
  return control.tagName === 'SELECT' ? control.value : Number(control.value);
}

// A slider's number, beside it.
function showNumber(control) {
  const output = control.parentElement.querySelector('output');
  if (output)
    output.textContent = Number(control.value).toFixed(2);
}

class Card {
  constructor(name) {
    const copy = document.getElementById('camera').content.cloneNode(true);
    this.name = name;
    this.element = copy.querySelector('article');
    this.element.dataset.name = name;
    this.canvas = this.find('canvas');
    this.find('.switch').addEventListener('click', () => this.change(
      { enabled: this.camera.state === 'off' }));
    this.controls = [...this.element.querySelectorAll('[data-key]')];
    for (const control of this.controls) {
      control.addEventListener('change', () => this.change(
        { [control.dataset.key]: readControl(control) }));
      control.addEventListener('input', () => showNumber(control));
    }
    this.visible = false;
    this.watcher = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      this.connect();
    });
    this.watcher.observe(this.element);
    wall.append(this.element);
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  async change(settings) {
    try {
      await ask('PATCH', `api/v1/cameras/${this.name}`, settings);
      tell('');
    } catch (error) {
      tell(`${this.name}: ${error.message}`);
    }
    look();
  }

  // Watches the camera if it can be seen and has pictures, and else does not.
  connect() {
    const wanted = this.visible && !document.hidden && this.camera?.state === 'live';
    if (!wanted) {
      this.socket?.close();
      this.socket = undefined;
    } else if (!this.socket && Date.now() > (this.notBefore ?? 0)) {
      const url = new URL(`api/v1/live/${this.name}`, location.href);
      url.protocol = url.protocol.replace('http', 'ws');
      const socket = new WebSocket(url);
      let found = { objects: [] };
      socket.binaryType = 'blob';
      socket.onmessage = async (message) => {
        if (typeof message.data === 'string') {
          found = JSON.parse(message.data);
          return;
        }
        const what = found;
        await this.draw(message.data, what);
        if (socket.readyState === WebSocket.OPEN)
          socket.send('next');
      };
      socket.onclose = () => {
        this.notBefore = Date.now() + PATIENCE;
        if (this.socket === socket)
          this.socket = undefined;
      };
      this.socket = socket;
    }
  }

  async draw(blob, found) {
    let picture;
    try {
      picture = await createImageBitmap(blob);
    } catch {
      return;
    }
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    picture.close();
    context.lineWidth = 2;
    context.font = '13px system-ui, sans-serif';
    if (isChecked('show-zones'))
      drawZones(context, found);
    drawObjects(context, found);
    this.element.dataset.pictures = Number(this.element.dataset.pictures ?? 0) + 1;
  }

  show(camera) {
    const off = camera.state === 'off';
    const write = (selector, text) => {
      this.find(selector).textContent = text;
    };
    this.camera = camera;
    write('h2', camera.title ?? camera.name);
    this.find('h2').title = camera.name;
    write('.state', camera.state);
    this.find('.state').className = `state ${camera.state}`;
    write('.reason', camera.reason
      ? `${camera.reason}, since ${new Date(camera.since).toLocaleTimeString()}` : '');
    write('.nothing', camera.state === 'live' ? '' : camera.state);
    write('.switch', off ? 'Start' : 'Stop');
    write('.fps', `${camera.fps.toFixed(1)}/s`);
    write('.inferred', `${camera.fps_inferred.toFixed(1)}/s`);
    write('.dropped', `${camera.fps_dropped.toFixed(1)}/s`);
    write('.latency', camera.inferred ? `${Math.round(camera.latency * 1000)} ms` : '');
    for (const control of this.controls)
      if (document.activeElement !== control) {
        const value = camera.effective[control.dataset.key] ?? control.dataset.default ?? '';
        control.value = Array.isArray(value) ? value.join(', ') : value;
        showNumber(control);
      }
    this.connect();
  }

  remove() {
    this.watcher.disconnect();
    this.socket?.close();
    this.element.remove();
  }
}

function show(cameras) {
  const names = new Set(cameras.map((camera) => camera.name));
  for (const [name, card] of cards)
    if (!names.has(name)) {
      card.remove();
      cards.delete(name);
    }
  for (const camera of cameras) {
    if (!cards.has(camera.name))
      cards.set(camera.name, new Card(camera.name));
    cards.get(camera.name).show(camera);
  }
  const live = cameras.filter((camera) => camera.state === 'live').length;
  document.getElementById('summary').textContent = cameras.length
    ? `${live} of ${cameras.length} live` : 'no cameras; add one to the settings';
}

let silent = false;

async function look() {
  try {
    show((await ask('GET', 'api/v1/cameras')).cameras);
    if (silent)
      tell('');
    silent = false;
  } catch (error) {
    silent = true;
    tell(`The server does not answer: ${error.message}`);
  }
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
}

document.getElementById('theme').addEventListener('click', () => {
  const dark = document.documentElement.dataset.theme
    ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  chooseTheme(dark === 'dark' ? 'light' : 'dark');
});
if (localStorage.getItem('theme'))
  chooseTheme(localStorage.getItem('theme'));
document.addEventListener('visibilitychange', () => cards.forEach((card) => card.connect()));
look();
setInterval(look, PERIOD);
