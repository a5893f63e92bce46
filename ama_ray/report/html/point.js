// One point: its values, the command that exports it, its ratios over depth, its probes, its replies.
function drawPoint() {
  const body = byId('point-body');
  const point = numbered(state.chosen);
  if (!point || !seenOn(point)) {
    body.replaceChildren(html('p', {}, 'Choose a point.'));
    return;
  }
  const command = html('code', { id: 'command' }, point.command);
  const copy = html('button', { type: 'button' }, 'Copy');
  copy.addEventListener('click', () => copyText(command, copy));
  const [profile, probes] = [html('div', { class: 'figure', id: 'profile' }), html('div', { class: 'figure', id: 'probes' })];
  body.replaceChildren(
    html('h3', { id: 'point-name' }, capital(called(point))), values(point),
    html('h3', {}, 'Export it'), html('div', { class: 'command' }, command, copy),
    html('h3', {}, 'Ratios over depth'), profile,
    html('h3', {}, 'Probes against base'), probes,
  );
  drawProfile(profile, point);
  drawProbes(probes, point);
}
const capital = (text) => text[0].toUpperCase() + text.slice(1);

function values(point) {
  const header = ['', 'value (95% interval)', 'base', 'aligned'].map((text) => html('th', { scope: 'col' }, text));
  const end = (name, i) => { const other = numbered(data.named[name]); return other && seenOn(other) ? format(seenOn(other).objectives[i][0], data.digits[i]) : '?'; };
  const rows = data.objectives.map((name, i) => html('tr', {}, html('th', { scope: 'row' }, name),
    html('td', {}, withInterval(seenOn(point).objectives[i], data.digits[i])), html('td', {}, end('base', i)), html('td', {}, end('aligned', i))));
  const table = html('table', {}, html('thead', {}, html('tr', {}, ...header)), html('tbody', {}, ...rows));
  if (seenOn(point).complete) return table;
  return html('div', {}, table, html('p', { class: 'note' }, `Stopped early: estimates from ${format(point.share * 100, 0)}% of the items.`));
}

function copyText(command, button) {
  const done = () => { button.textContent = 'Copied'; setTimeout(() => { button.textContent = 'Copy'; }, 1500); };
  const select = () => { const range_ = document.createRange(); range_.selectNodeContents(command); getSelection().removeAllRanges(); getSelection().addRange(range_); };
  // A page from disk may have no clipboard: then the text is at least selected.
  if (navigator.clipboard) navigator.clipboard.writeText(command.textContent).then(done, select); else select();
}

function drawProfile(box, point) {
  const width = Math.max(box.clientWidth, 220);
  const [tall, left, top] = [180, 34, 20];
  const longest = Math.max(...data.groups.map((name) => name.length));
  const bottom = tall - Math.min(64, 16 + longest * 4.6);
  const highest = Math.max(1, ...data.points.flatMap((each) => each.ratios));
  const up = linear([0, highest], [bottom, top]);
  const step = (width - left) / data.groups.length;
  const root = svg('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'img', 'aria-label': `Ratios: ${data.groups.map((name, i) => `${name} ${format(point.ratios[i], 2)}`).join(', ')}` });
  for (const value of [0, 0.5, 1, ...(highest > 1 ? [highest] : [])]) {
    root.append(svg('line', { class: 'grid', x1: left, x2: width, y1: up(value), y2: up(value) }), svg('text', { x: left - 6, y: up(value) + 4, 'text-anchor': 'end' }, format(value, value % 1 ? 1 : 0)));
  }
  const mean = point.ratios.reduce((sum, each) => sum + each, 0) / point.ratios.length;
  root.append(path([[left, up(mean)], [width, up(mean)]], { class: 'path uniform dotted' }));
  const every = Math.ceil(13 / step);
  data.groups.forEach((name, i) => {
    const x = left + step * i;
    const bar = svg('rect', { class: 'block front', x: x + step * 0.14, width: Math.max(step * 0.72, 1), y: up(point.ratios[i]), height: Math.max(1, bottom - up(point.ratios[i])), rx: Math.min(2, step / 5) });
    bar.append(svg('title', {}, `${name}: ${format(point.ratios[i], 3)}`));
    root.append(bar);
    if (step > 34) root.append(svg('text', { class: 'strong halo-text', 'font-weight': 400, 'font-size': 11, x: x + step / 2, y: up(point.ratios[i]) - 5, 'text-anchor': 'middle' }, format(point.ratios[i], 2)));
    if (i % every) return;
    root.append(svg('text', { 'font-size': 11, 'text-anchor': 'end', transform: `translate(${x + step / 2 + 4} ${bottom + 12}) rotate(-40)` }, shortened(name, 90)));
  });
  box.replaceChildren(root, html('p', { class: 'note' }, `${data.models.length ? 'Share of each aligned model' : 'Share of aligned'} by group, from the input side to the output side: ${data.models.length ? 'what is left of 1 is base' : '0 is base, 1 is aligned'}. Dotted: their mean, ${format(mean, 2)}.`));
}

function drawProbes(box, point) {
  const aligned = numbered(data.named.aligned);
  const scored = data.probes.map((probe, i) => [probe, seenOn(point).probes[i], aligned && seenOn(aligned) ? seenOn(aligned).probes[i] : null]).filter(([, ours]) => ours);
  if (!scored.length) {
    box.replaceChildren(html('p', {}, 'None.'));
    return;
  }
  const width = Math.max(box.clientWidth, 240);
  const [row, top] = [26, 20];
  const [name, right] = [Math.min(110, width * 0.27), 104];
  const tall = top + row * scored.length + 20;
  const root = svg('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'img', 'aria-label': `Tax by probe: ${scored.map(([[label], ours]) => `${label} ${format(ours[2], 3)}`).join(', ')}` });
  // Probes between 0 and 1 share a scale; one in other units has its own.
  const scale = (among) => {
    const reach = range([0, ...among.flatMap(([, ours, theirs]) => [...ends(ours.slice(2)), ...(theirs ? [theirs[2]] : [])])], 0.04);
    return Object.assign(linear(reach, [name, width - right]), { range: reach });
  };
  const shared = scored.filter(([probe]) => probe[3]);
  const common = shared.length ? scale(shared) : null;
  root.append(svg('text', { x: name, y: 10 }, width > 400 ? '← better than base · tax · worse →' : '← better · tax · worse →'), svg('text', { x: width, y: 10, 'text-anchor': 'end' }, 'base → this'));
  const { values: marks, digits } = common ? ticks(...common.range, 4) : { values: [] };
  for (const value of marks) {
    root.append(svg('line', { class: 'grid', x1: common(value), x2: common(value), y1: top, y2: tall - 20 }),
      svg('text', { x: common(value), y: tall - 6, 'text-anchor': 'middle' }, format(value, digits)));
  }
  scored.forEach((each, i) => {
    const [[label, family, , bounded], ours, theirs] = each;
    const across = bounded ? common : scale([each]);
    const y = top + row * i + row / 2;
    const [score, , tax, error] = ours;
    const base = each[0][2] ? score + tax : score - tax;
    const [low, high] = error === null ? [tax, tax] : ends([tax, error]);
    const tells = `${label}${family ? ` (${family})` : ''}: tax ${withInterval([tax, error], 3)}${theirs ? `; aligned ${format(theirs[2], 3)}` : ''}`;
    root.append(svg('g', {}, svg('title', {}, tells),
      svg('line', { class: 'zero', x1: across(0), x2: across(0), y1: y - row / 2, y2: y + row / 2 }),
      svg('text', { class: 'strong', 'font-weight': 400, x: 0, y: y + 4 }, shortened(label, name - 4)),
      svg('line', { class: 'bar front sure', x1: across(low), x2: across(high), y1: y, y2: y }),
      ...(theirs ? [svg('rect', { class: 'hollow uniform', x: across(theirs[2]) - 4, y: y - 4, width: 8, height: 8 })] : []),
      svg('circle', { class: 'mark front', cx: across(tax), cy: y, r: 5 }),
      svg('text', { x: width, y: y + 4, 'text-anchor': 'end' }, `${format(base, 3)} → ${format(score, 3)}`)));
  });
  const own = scored.length - shared.length;
  box.replaceChildren(root, html('p', { class: 'note' }, `Tax of each probe with its 95% interval, items paired with base; dotted line: base; square: aligned. Right: base's score and this point's${own ? `. ${own} in other units than 0-1 ${own > 1 ? 'have scales of their own' : 'has a scale of its own'}` : ''}.`));
}

function drawReplies() {
  const box = byId('replies');
  const point = numbered(state.chosen);
  if (!data.prompts.length) {
    box.replaceChildren(html('p', {}, 'No replies were kept: they are of the report split, which was not scored, or the run is older than their file.'));
    return;
  }
  const columns = [['base', numbered(data.named.base), 'other'], ['aligned', numbered(data.named.aligned), 'uniform'],
    ...(point && point.number !== data.named.base && point.number !== data.named.aligned ? [[called(point), point, 'front']] : [])];
  box.replaceChildren(html('p', { class: 'note' }, 'The first sampled reply to each of the first prompts of the report split; the same seed everywhere. A few replies illustrate, they prove nothing.'),
    ...data.prompts.flatMap((prompt, i) => [
      html('p', { class: 'prompt' }, html('b', {}, 'Prompt'), prompt),
      html('div', { class: 'replies' }, ...columns.map(([title, from, which]) => html('div', { class: `reply ${which}`, tabindex: 0 },
        html('b', {}, title), from && from.replies.length > i ? from.replies[i].trim() || '(empty)' : '(not scored on the report split)')))]));
}
