// The front: every trial in two objectives.
const higher = (objective) => !['tokens', 'tax'].includes(data.objectives[objective]);
const kind = (point) => (point.baseline ? 'uniform' : seenOn(point).front ? 'front' : 'other');
const seenOn = (point) => point.seen[state.split];
const shownPoints = () => data.points.filter((point) => seenOn(point));
const numbered = (number) => data.points.find((point) => point.number === number);
const arrow = (objective) => (higher(objective) ? 'higher is better' : 'lower is better');
const unit = { tokens: 'mean per reply', tax: 'points of 0-1 lost against base' };
const objectiveName = (objective) => `${data.objectives[objective]}, ${unit[data.objectives[objective]] ?? 'mean score'} (${arrow(objective)})`;

function called(point) {
  const knee = data.named[`knee.${state.split}`] === point.number ? 'knee, ' : '';
  const { front: there, probability, group } = seenOn(point) || {};
  const sure = probability === null || probability === undefined ? '' : ` (in ${format(probability * 100, 0)}% of resamples${group ? `, group ${group}` : ''})`;
  const front = there ? `, on the front${sure}` : '';
  return `${knee}trial ${point.number}${point.name ? `, ${point.name}` : ''}${front}`;
}
function told(point) {
  const values = data.objectives.map((name, i) => `${name} ${withInterval(seenOn(point).objectives[i], data.digits[i])}`);
  const stopped = seenOn(point).complete ? '' : `\nstopped early: estimates from ${format(point.share * 100, 0)}% of the items`;
  return `${called(point)}\n${values.join('\n')}${stopped}`;
}

function drawFront() {
  const box = byId('front');
  const points = shownPoints();
  if (!points.length) {
    box.textContent = 'No trial is complete.';
    return;
  }
  const { x, y } = state;
  const place = (point) => [seenOn(point).objectives[x], seenOn(point).objectives[y]];
  const main = points.filter((point) => kind(point) !== 'other');
  const view = main.length ? main : points;
  const [xs, ys] = [0, 1].map((i) => range(view.flatMap((point) => ends(place(point)[i])), 0.05));
  const figure = plot(box, { x: xs, y: ys, xLabel: objectiveName(x), yLabel: objectiveName(y), title: 'Trials by reward and tax' });
  const { root, inside, across, up } = figure;
  const at = (point) => place(point).map(([value], i) => (i ? up : across)(value));
  const [base, aligned] = ['base', 'aligned'].map((name) => data.named[name]).map((number) => number !== null && numbered(number));
  if (!data.trade[state.split] && base && aligned) {
    const [[x1, y1], [x2, y2]] = [at(base), at(aligned)];
    inside.append(svg('rect', { class: 'boxline', x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) }));
  }
  const of = (which) => points.filter((point) => kind(point) === which);
  const baseline = of('uniform');
  const uniform = baseline.filter((point) => point.uniform !== null).sort((a, b) => a.uniform - b.uniform);
  inside.append(path(uniform.map(at), { class: 'path uniform dotted' }));
  const onFront = points.filter((point) => seenOn(point).front).sort((a, b) => place(a)[0][0] - place(b)[0][0]);
  for (const members of grouped(onFront)) inside.append(path(members.map(at), { class: 'path front alike' }));
  if (data.objectives.length === 2) inside.append(path(stairs(onFront.filter((point) => seenOn(point).unbeaten).map(at)), { class: 'path front' }));
  for (const point of [...of('other'), ...baseline, ...of('front')]) inside.append(mark(point, at(point), place(point), figure));
  labels(inside, at, { base, aligned, baseline }, figure);
  const chosen = numbered(state.chosen);
  if (chosen && seenOn(chosen)) inside.append(svg('circle', { class: 'halo', cx: at(chosen)[0], cy: at(chosen)[1], r: 11 }));
  const near = nearest(points, at);
  root.addEventListener('click', (event) => {
    const found = near(placeIn(root, event));
    if (!found.length) return;
    // Of points that lie over one another, each click takes the next one.
    const pile = found.filter(([far]) => far < found[0][0] + 4).map(([, point]) => point.number);
    choose(pile[(pile.indexOf(state.chosen) + 1) % pile.length]);
  });
  hover(root, box, (where) => { const [first] = near(where); return first && told(first[1]); });
  frontLegend(points, at, figure);
}

// Points of the front that do not differ beyond error, two and more.
function grouped(onFront) {
  const groups = [...new Set(onFront.map((point) => seenOn(point).group).filter(Boolean))];
  return groups.map((group) => onFront.filter((point) => seenOn(point).group === group)).filter((members) => members.length > 1);
}

function nearest(points, at) {
  const places = points.map((point) => [point, ...at(point)]);
  return ([x, y]) => {
    const all = places.map(([point, px, py]) => [Math.hypot(px - x, py - y) + (kind(point) === 'other' ? 3 : 0), point]);
    return all.filter(([far]) => far < 24).sort((a, b) => a[0] - b[0]);
  };
}

function mark(point, [x, y], values, { across, up }) {
  const which = kind(point);
  const role = which === 'other' ? {} : { tabindex: 0 };
  const group = svg('g', { class: which, role: 'button', 'aria-label': told(point).replaceAll('\n', '; '), 'data-trial': point.number, ...role });
  if (which !== 'other') {
    const [[left, right], [low, high]] = values.map((each) => (each[1] === null ? [each[0], each[0]] : ends(each)));
    group.append(svg('line', { class: 'bar', x1: across(left), x2: across(right), y1: y, y2: y }),
      svg('line', { class: 'bar', x1: x, x2: x, y1: up(low), y2: up(high) }));
  }
  group.append(svg('circle', { class: 'ring', cx: x, cy: y, r: 9 }));
  const shape = { other: 3.2, front: 5.2 }[which];
  if (which === 'uniform') group.append(svg('rect', { class: 'mark', x: x - 4.6, y: y - 4.6, width: 9.2, height: 9.2 }));
  if (which === 'uniform' && seenOn(point).front) group.append(svg('circle', { class: 'mark front', cx: x, cy: y, r: 3.4 }));
  if (shape) group.append(svg('circle', { class: `mark ${which}${seenOn(point).complete ? '' : ' hollow'}`, cx: x, cy: y, r: shape }));
  group.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    choose(point.number);
    byId('front').querySelector(`[data-trial="${point.number}"]`).focus();
  });
  return group;
}

function labels(inside, at, { base, aligned, baseline }, { area }) {
  const write = (point, text, which, dy) => {
    const [x, y] = at(point);
    const right = x > (area.left + area.right) / 2;
    inside.append(svg('text', { class: `label halo-text ${which}`, 'font-weight': 600, x: x + (right ? -10 : 10), y: y + dy, 'text-anchor': right ? 'end' : 'start' }, text));
  };
  const end = aligned && data.models.length ? `aligned: ${aligned.name}` : 'aligned';
  for (const [point, text] of [[base, 'base'], [aligned, end]]) if (point && seenOn(point)) write(point, text, 'uniform', 17);
  const middle = baseline.find((point) => point.uniform === 0.5);
  if (middle) write(middle, 'uniform 0.5', 'uniform', 17);
  const others = baseline.filter((point) => point !== aligned && (data.models.includes(point.name) || point.name.startsWith('soup ')));
  for (const point of others) write(point, point.name, 'uniform', 17);
  const knee = numbered(data.named[`knee.${state.split}`]);
  if (knee && seenOn(knee)) write(knee, 'knee', 'front', -12);
}

function frontLegend(points, at, { area }) {
  const others = points.filter((point) => kind(point) === 'other');
  const outside = others.filter((point) => { const [x, y] = at(point); return x < area.left || x > area.right || y < area.top || y > area.bottom; }).length;
  legend('front-legend', [
    [keyDot('front'), `front (${points.filter((point) => seenOn(point).front).length})`],
    ...(grouped(points.filter((point) => seenOn(point).front)).length ? [[keyBand('front'), 'points that do not differ beyond error']] : []),
    [keySquare('uniform'), data.models.length ? 'baseline: averages, models alone, soups; dotted: base to the equal average' : 'uniform averaging'],
    ...(others.length ? [[keyDot('other'), `other trials (${others.length}${outside ? `, ${outside} outside the view` : ''})`]] : []),
    ...(others.some((point) => !seenOn(point).complete) ? [[svg('circle', { class: 'other hollow', cx: 11, cy: 6, r: 4 }), 'stopped early, estimates']] : []),
    ...(data.trade[state.split] ? [] : [[svg('rect', { class: 'boxline', x: 1, y: 1, width: 20, height: 10 }), 'box between base and aligned (hypervolume 1)']]),
  ]);
}
