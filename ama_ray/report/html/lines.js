// Lines and bars: families as parallel coordinates, importance by group, hypervolume over trials.
function drawFamilies() {
  const box = byId('families');
  const last = data.objectives.length - 1;
  const axes = [
    ...data.objectives.slice(0, last).map((name, i) => ({ name, sign: higher(i) ? 1 : -1, digits: data.digits[i], get: (seen) => seen.objectives[i] })),
    ...data.families.map((name, i) => ({ name, sign: -1, digits: 3, get: (seen) => seen.families[i] })),
    { name: 'tax, overall', sign: -1, digits: data.digits[last], get: (seen) => seen.objectives[last] },
  ];
  const points = shownPoints().filter((point) => seenOn(point).complete);
  const width = Math.max(box.clientWidth, 240);
  const [tall, top, bottom] = [330, 50, 300];
  const side = Math.min(60, width / axes.length / 2);
  const across = linear([0, Math.max(axes.length - 1, 1)], [side, width - side]);
  const root = svg('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'img', 'aria-label': 'Trials by reward and by the tax of each family' });
  const ups = axes.map((axis) => {
    const [low, high] = range(points.map((point) => axis.sign * (axis.get(seenOn(point))[0] ?? NaN)), 0);
    return linear([low, high], [bottom, top]);
  });
  const at = (point) => axes.flatMap((axis, i) => {
    const [value] = axis.get(seenOn(point));
    return value === null ? [] : [[across(i), ups[i](axis.sign * value)]];
  });
  const order = { other: 0, uniform: 1, front: 2 };
  for (const point of [...points].sort((a, b) => order[kind(a)] - order[kind(b)])) {
    const thin = kind(point) === 'front' ? '' : 'thin';
    root.append(path(at(point), { class: `path ${kind(point)} ${thin} ${kind(point) === 'uniform' ? 'dotted' : ''}` }));
  }
  const chosen = numbered(state.chosen);
  const bold = chosen && seenOn(chosen) && seenOn(chosen).complete;
  if (bold) root.append(path(at(chosen), { class: 'path chosen bold' }));
  axes.forEach((axis, i) => {
    const x = across(i);
    root.append(svg('line', { class: 'axis', x1: x, x2: x, y1: top, y2: bottom }));
    const values = points.map((point) => axis.get(seenOn(point))[0]).filter((value) => value !== null);
    if (!values.length) return;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const [best, worst] = axis.sign > 0 ? [high, low] : [low, high];
    const anchor = { 'text-anchor': 'middle', class: 'halo-text' };
    root.append(svg('text', { ...anchor, x, y: top - 10 }, format(best, axis.digits)),
      svg('text', { ...anchor, x, y: bottom + 20 }, format(worst, axis.digits)),
      svg('text', { ...anchor, class: 'strong', x, y: axes.length * 74 > width && i % 2 ? 12 : 26 }, shortened(axis.name, (width / axes.length) * (axes.length * 74 > width ? 2 : 1))));
    if (bold && axis.get(seenOn(chosen))[0] !== null) {
      root.append(svg('circle', { class: 'mark chosen', cx: x, cy: ups[i](axis.sign * axis.get(seenOn(chosen))[0]), r: 4.5 }));
    }
  });
  box.replaceChildren(root);
  const near = ([x, y]) => {
    const i = Math.round(Math.min(axes.length - 1, Math.max(0, ((x - side) / (width - 2 * side)) * (axes.length - 1))));
    const far = points.map((point) => [Math.abs((at(point)[i] || [0, 1e9])[1] - y), point]).sort((a, b) => a[0] - b[0])[0];
    return far && far[0] < 16 ? [far[1], axes[i]] : null;
  };
  root.addEventListener('click', (event) => { const found = near(placeIn(root, event)); if (found) choose(found[0].number); });
  hover(root, box, (where) => { const found = near(where); return found && `${called(found[0])}\n${found[1].name} ${withInterval(found[1].get(seenOn(found[0])), found[1].digits)}`; });
  legend('families-legend', [[keyLine('front'), 'front'], [keyLine('uniform dotted'), 'uniform averaging'], [keyLine('other thin'), 'other trials'], ...(bold ? [[keyLine('chosen bold'), called(chosen)]] : [])]);
}
const shortened = (text, room) => { const most = Math.max(4, Math.floor(room / 7)); return text.length > most ? `${text.slice(0, most - 1)}…` : text; };

function drawImportance() {
  const box = byId('importance');
  if (!data.importance.length) {
    box.replaceChildren(html('p', {}, 'Not known: too few trials whose groups differ.'));
    return;
  }
  box.replaceChildren(...data.importance.map((each) => html('div', {}, html('h3', {}, each.objective), html('p', { class: 'note' }, fit(each)), html('div', { class: 'figure' }))));
  data.importance.forEach((each, i) => bars(box.children[i].lastElementChild, each));
}
function fit({ r2, trials }) {
  const explained = `Fitted to ${trials} trials; R² of trials left out ${format(r2, 2)}`;
  return r2 < 0.5 ? `${explained}: the surface explains too little, so do not rely on this.` : `${explained}.`;
}
function bars(box, { objective, groups }) {
  const digits = data.digits[data.objectives.indexOf(objective)];
  const width = Math.max(box.clientWidth, 240);
  const [row, top] = [21, 22];
  const name = Math.min(130, 10 + 7 * Math.max(...data.groups.map((each) => each.length)));
  const effect = 128;
  const across = linear(range([0, ...groups.flatMap(({ low, high }) => [low, high])], 0), [name, width - effect - 12]);
  const tall = top + row * groups.length + 4;
  const root = svg('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'img', 'aria-label': `What each group does to ${objective}` });
  root.append(svg('line', { class: 'zero', x1: across(0), x2: across(0), y1: top, y2: tall - 4 }),
    svg('text', { x: width, y: 12, 'text-anchor': 'end' }, `change in ${objective} from base to aligned [95%]`));
  groups.forEach(({ value, low, high }, i) => {
    const y = top + row * i;
    root.append(svg('text', { class: 'strong', x: name - 8, y: y + 14, 'text-anchor': 'end', 'font-weight': 400 }, shortened(data.groups[i], name - 8)),
      svg('rect', { class: 'block front', x: Math.min(across(0), across(value)), y: y + 3, width: Math.abs(across(value) - across(0)), height: row - 7 }),
      svg('line', { class: 'bar chosen sure', x1: across(low), x2: across(high), y1: y + row / 2 - 0.5, y2: y + row / 2 - 0.5 }),
      svg('text', { x: width, y: y + 14, 'text-anchor': 'end' }, `${format(value, digits)} [${format(low, digits)}, ${format(high, digits)}]`));
  });
  box.replaceChildren(root);
}

function drawVolume() {
  const box = byId('volume');
  const c = data.convergence;
  const known = c.hypervolume.flatMap((value, i) => (value === null ? [] : [i]));
  if (!known.length || c.uniform === null) {
    box.textContent = 'No hypervolume.';
    return;
  }
  const final = c.trials.length - 1;
  const high = Math.max(...[c.hypervolume[final], c.high[final], c.again, c.uniform + 0.02].filter((value) => value !== null));
  const span = high - c.uniform;
  const figure = plot(box, { x: [0, c.trials[final]], y: [c.uniform - 0.2 * span, high + 0.08 * span], height: 300,
    xLabel: 'trials of the search that have ended', yLabel: 'hypervolume', title: 'Hypervolume over trials' });
  const { inside, root, across, up, area } = figure;
  const along = (values) => stairs(known.filter((i) => values[i] !== null).map((i) => [across(c.trials[i]), up(values[i])]));
  const held = c.held_out.some((value) => value !== null);
  if (held) {
    inside.append(path([...along(c.low), ...along(c.high).reverse()], { class: 'band front' }),
      path(along(c.held_out), { class: 'path front dashed' }));
  }
  inside.append(path([[area.left, up(c.uniform)], [area.right, up(c.uniform)]], { class: 'path uniform dotted' }), path(along(c.hypervolume), { class: 'path front' }));
  if (c.again !== null) inside.append(svg('circle', { class: 'mark other sure', cx: across(c.trials[final]), cy: up(c.again), r: 5.5 }));
  hover(root, box, ([x]) => {
    const i = Math.round(((x - area.left) / (area.right - area.left)) * c.trials[final]) - 1;
    if (!known.includes(i)) return '';
    const interval = c.held_out[i] === null ? '' : `\non other items ${format(c.held_out[i], 3)} (${format(c.low[i], 3)} to ${format(c.high[i], 3)})`;
    return `after ${c.trials[i]} trials\nas the search saw it ${format(c.hypervolume[i], 3)}${interval}`;
  });
  legend('volume-legend', [[keyLine('front'), `as the search saw it: ${format(c.hypervolume[final], 3)}`],
    ...(held ? [[keyLine('front dashed'), `chosen on one half of the items, scored on the other: ${format(c.held_out[final], 3)}`], [keyBand('front'), 'its 95% interval']] : []),
    [keyLine('uniform dotted'), `uniform averaging: ${format(c.uniform, 3)}`],
    ...(c.again === null ? [] : [[keyDot('other'), `the same points on the report split: ${format(c.again, 3)}`]])]);
}
