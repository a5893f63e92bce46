// What is chosen, and drawing all of it again when that or the width changes.
const start = /^#trial-(\d+)$/.exec(location.hash);
const state = { split: data.split, x: data.objectives.length - 1, y: 0,
  chosen: start && numbered(Number(start[1])) ? Number(start[1]) : data.named[`knee.${data.split}`] ?? data.named.aligned ?? (data.points[0] || {}).number };

function choose(number) {
  state.chosen = number;
  history.replaceState(null, '', `#trial-${number}`);
  drawChosen();
}
function drawChosen() {
  tools();
  drawFront();
  drawPoint();
  drawReplies();
  drawFamilies();
  for (const row of document.querySelectorAll('#front-table tbody tr')) row.setAttribute('aria-selected', String(Number(row.dataset.trial) === state.chosen));
}
function drawAll() {
  drawChosen();
  drawImportance();
  drawVolume();
}

function picker(label, options, chosen, change) {
  const select = html('select', { 'aria-label': label }, ...options.map(([value, text]) => html('option', { value }, text)));
  select.value = chosen;
  select.addEventListener('change', () => change(Number(select.value)));
  return html('label', {}, `${label} `, select);
}
function tools() {
  const splits = data.splits.map((split) => {
    const count = data.points.filter((point) => point.seen[split]).length;
    const button = html('button', { type: 'button', 'aria-pressed': String(split === state.split) }, `${split} split (${count})`);
    button.addEventListener('click', () => {
      state.split = split;
      if (!seenOn(numbered(state.chosen) || { seen: {} })) state.chosen = data.named[`knee.${split}`] ?? data.named.aligned;
      drawChosen();
    });
    return button;
  });
  const several = data.objectives.length > 2;
  const axes = data.objectives.map((name, i) => [i, name]);
  byId('front-tools').replaceChildren(...(splits.length > 1 ? splits : []),
    ...(several ? [picker('across', axes, state.x, (i) => { state.x = i; drawFront(); }), picker('up', axes, state.y, (i) => { state.y = i; drawFront(); })] : []));
  const points = shownPoints();
  if (points.length) byId('point-tools').replaceChildren(picker('Trial', points.map((point) => [point.number, called(point)]), state.chosen, choose));
}

for (const row of document.querySelectorAll('#front-table tbody tr')) row.addEventListener('click', () => choose(Number(row.dataset.trial)));
drawAll();
let width = document.documentElement.clientWidth;
addEventListener('resize', () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  requestAnimationFrame(drawAll);
});
