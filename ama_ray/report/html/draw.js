// Drawing with SVG: elements, scales, ticks, axes. Text only ever enters as text, never as markup.
const QUANTILE = 1.96;
const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);

function make(namespace, name, attributes, children) {
  const element = namespace ? document.createElementNS(namespace, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const svg = (name, attributes = {}, ...children) => make('http://www.w3.org/2000/svg', name, attributes, children);
const html = (name, attributes = {}, ...children) => make(null, name, attributes, children);

function format(value, digits) {
  if (value === null || value === undefined) return '?';
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text;
}
// As a value with its 95% interval, where the error is known.
function withInterval([value, error], digits) {
  if (error === null) return format(value, digits);
  return `${format(value, digits)} (${format(value - QUANTILE * error, digits)} to ${format(value + QUANTILE * error, digits)})`;
}

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return { values: found, digits };
}

// The range of values, some room around it; never empty.
function range(values, room = 0.06) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = high > low ? (high - low) * room : Math.abs(high) * 0.1 || 0.5;
  return [low - margin, high + margin];
}
const ends = ([value, error]) => (error === null ? [value] : [value - QUANTILE * error, value + QUANTILE * error]);
const linear = ([low, high], [from, to]) => (value) => from + ((value - low) / (high - low)) * (to - from);

// A plot with axes: returns its layers and scales. `title` is what screen readers say of it.
function plot(box, { x, y, xLabel, yLabel, title, height }) {
  const width = Math.max(box.clientWidth, 240);
  const tall = height || Math.round(Math.min(600, Math.max(320, width * 0.84)));
  const area = { left: 46, right: width - 12, top: 26, bottom: tall - 44 };
  const root = svg('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'group', 'aria-label': title });
  const [across, up] = [linear(x, [area.left, area.right]), linear(y, [area.bottom, area.top])];
  const [xs, ys] = [ticks(...x, width / 90), ticks(...y, (tall - 70) / 55)];
  for (const value of xs.values) {
    root.append(svg('line', { class: 'grid', x1: across(value), x2: across(value), y1: area.top, y2: area.bottom }),
      svg('text', { x: across(value), y: area.bottom + 17, 'text-anchor': 'middle' }, format(value, xs.digits)));
  }
  for (const value of ys.values) {
    root.append(svg('line', { class: 'grid', x1: area.left, x2: area.right, y1: up(value), y2: up(value) }),
      svg('text', { x: area.left - 8, y: up(value) + 4, 'text-anchor': 'end' }, format(value, ys.digits)));
  }
  root.append(svg('line', { class: 'axis', x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }),
    svg('text', { class: 'strong', x: area.right, y: area.bottom + 37, 'text-anchor': 'end' }, xLabel),
    svg('text', { class: 'strong', x: 0, y: 12 }, yLabel));
  const clip = `clip-${box.id}`;
  root.append(svg('clipPath', { id: clip }, svg('rect', {
    x: area.left - 8, y: area.top - 8, width: area.right - area.left + 16, height: area.bottom - area.top + 16 })));
  const inside = svg('g', { 'clip-path': `url(#${clip})` });
  root.append(inside);
  box.replaceChildren(root);
  return { root, inside, across, up, area, width, tall };
}

function path(places, attributes) {
  return svg('path', { d: places.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join(''), ...attributes });
}
// Places along a staircase: each value holds until the next one.
const stairs = (places) => places.flatMap(([x, y], i) => (i ? [[x, places[i - 1][1]], [x, y]] : [[x, y]]));

function legend(id, entries) {
  byId(id).replaceChildren(...entries.map(([mark, text]) => html('li', {}, svg('svg', { viewBox: '0 0 22 12', 'aria-hidden': 'true' }, mark), text)));
}
const keyLine = (kind) => svg('line', { class: `path ${kind}`, x1: 1, x2: 21, y1: 6, y2: 6 });
const keyDot = (kind) => svg('circle', { class: `mark ${kind}`, cx: 11, cy: 6, r: 4.5 });
const keySquare = (kind) => svg('rect', { class: `mark ${kind}`, x: 7, y: 2, width: 8, height: 8 });
const keyBand = (kind) => svg('rect', { class: `band ${kind}`, x: 1, y: 1, width: 20, height: 10 });

// What is near the pointer, told in a small box beside it. `find` gives a text for a place in the drawing.
function hover(root, box, find) {
  const tip = byId('tip');
  root.addEventListener('pointermove', (event) => {
    const text = event.pointerType === 'mouse' && find(placeIn(root, event));
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const left = Math.min(event.pageX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
    Object.assign(tip.style, { left: `${Math.max(4, left)}px`, top: `${event.pageY + 16}px` });
  });
  root.addEventListener('pointerleave', () => { tip.hidden = true; });
}
function placeIn(root, event) {
  const at = root.getBoundingClientRect();
  return [((event.clientX - at.left) / at.width) * root.viewBox.baseVal.width,
    ((event.clientY - at.top) / at.height) * root.viewBox.baseVal.height];
}
