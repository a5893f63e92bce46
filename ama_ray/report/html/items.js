// The items of one reward or probe, as two points answered them. Text only ever enters as text, never as markup.
const STEP = 50;
const place = (found) => Math.max(0, data.points.findIndex(found));
const state = { source: 0, left: place((point) => point.name === 'base'), right: place((point) => point.knee),
  filter: 'worse', text: '', sort: null, down: true, shown: STEP, found: [] };

function called(point) {
  const names = [point.name, point.knee ? 'knee' : '', point.front && !point.knee ? 'front' : ''].filter((name) => name);
  return `trial ${point.number}${names.length ? `, ${names.join(', ')}` : ''}`;
}
const scores = (which) => data.points[state[which]].scores[state.source];
const answer = (which, item) => data.pool[data.points[state[which]].said[state.source][item] ?? 0];

// How much worse an item is on the right than on the left.
function loss(item) {
  const [left, right] = [scores('left')[item], scores('right')[item]];
  if (left === null || right === null) return 0;
  return data.sources[state.source].higher ? left - right : right - left;
}
const FILTERS = {
  worse: ['right on the left, wrong on the right (or worse)', (item) => loss(item) > 0],
  better: ['wrong on the left, right on the right (or better)', (item) => loss(item) < 0],
  other: ['another answer', (item) => answer('left', item) !== answer('right', item)],
  all: ['all', () => true],
};

function find() {
  const source = data.sources[state.source];
  const text = state.text.toLowerCase();
  const has = (item) => [source.prompts[item], source.golds[item], answer('left', item), answer('right', item)]
    .some((each) => each.toLowerCase().includes(text));
  const keep = FILTERS[state.filter][1];
  state.found = [];
  for (let item = 0; item < source.prompts.length; item += 1) if (keep(item) && (!text || has(item))) state.found.push(item);
  if (state.filter === 'worse') state.found.sort((one, other) => loss(other) - loss(one) || one - other);
  if (state.filter === 'better') state.found.sort((one, other) => loss(one) - loss(other) || one - other);
  state.shown = STEP;
  draw();
}

function reply(which, item) {
  const score = scores(which)[item];
  const head = `${called(data.points[state[which]])}: ${format(score, 3)}`;
  const worse = which === 'right' && loss(item) > 0;
  return html('div', { class: `reply ${which === 'left' ? 'other' : worse ? 'uniform' : 'front'}` }, html('b', {}, head), answer(which, item));
}
function entry(item) {
  const source = data.sources[state.source];
  const gold = source.golds[item] ? [html('p', { class: 'gold' }, html('b', {}, 'right: '), source.golds[item])] : [];
  return html('article', { 'data-item': item }, html('p', { class: 'prompt' }, html('b', {}, String(item)), source.prompts[item]),
    ...gold, html('div', { class: 'replies two' }, reply('left', item), reply('right', item)));
}
function draw() {
  const source = data.sources[state.source];
  byId('count').textContent = `${state.found.length} of ${source.prompts.length} items of ${source.name}`;
  byId('items').replaceChildren(...state.found.slice(0, state.shown).map(entry));
  byId('more').hidden = state.shown >= state.found.length;
  for (const row of document.querySelectorAll('#points tbody tr')) row.setAttribute('aria-selected', String(Number(row.dataset.place) === state.right));
}

function picker(label, key, options) {
  const select = html('select', { id: `pick-${key}` }, ...options.map(([value, text]) => html('option', { value }, text)));
  select.value = state[key];
  select.addEventListener('change', () => { state[key] = key === 'filter' ? select.value : Number(select.value); find(); });
  return html('label', {}, `${label} `, select);
}
function tools() {
  const points = data.points.map((point, i) => [i, called(point)]);
  const search = html('input', { type: 'search', id: 'text', 'aria-label': 'text', placeholder: 'text' });
  search.addEventListener('input', () => { state.text = search.value; find(); });
  byId('choose').replaceChildren(picker('Items of', 'source', data.sources.map((source, i) => [i, source.name])),
    picker('left', 'left', points), picker('right', 'right', points),
    picker('show', 'filter', Object.entries(FILTERS).map(([key, [text]]) => [key, text])), search);
}

const probes = [...new Set(data.points.flatMap((point) => Object.keys(point.probes)))];
const columns = [['trial', (point) => point.number], ...data.objectives.map((name, i) => [name, (point) => point.values[i]]),
  ...probes.map((name) => [name, (point) => point.probes[name] ?? null])];
function table() {
  const order = data.points.map((point, i) => i);
  if (state.sort !== null) {
    const value = (i) => columns[state.sort][1](data.points[i]) ?? -Infinity;
    order.sort((one, other) => (state.down ? value(other) - value(one) : value(one) - value(other)));
  }
  const heads = columns.map(([name], i) => {
    const button = html('button', { type: 'button' }, name);
    button.addEventListener('click', () => { state.down = state.sort === i ? !state.down : true; state.sort = i; table(); });
    const sorted = state.sort === i ? (state.down ? 'descending' : 'ascending') : 'none';
    return html('th', { scope: 'col', 'aria-sort': sorted }, button);
  });
  const rows = order.map((i) => {
    const [, ...values] = columns.map(([, of]) => of(data.points[i]));
    const row = html('tr', { 'data-place': i, 'aria-selected': String(i === state.right) },
      html('th', { scope: 'row' }, called(data.points[i])), ...values.map((value) => html('td', {}, format(value, 3))));
    row.addEventListener('click', () => { state.right = i; byId('pick-right').value = i; find(); });
    return row;
  });
  byId('points').replaceChildren(html('thead', {}, html('tr', {}, ...heads)), html('tbody', {}, ...rows));
}

byId('more').addEventListener('click', () => { state.shown += STEP; draw(); });
tools();
table();
find();
