// A report card as mqc report writes it: its verdicts first, then its main tables.

import { el, facts, svg, table } from './dom.js';
import { date, number, p, percent, plural } from './format.js';

// verdicts begin with that of the checkpoint of a hash.
export function verdicts(card, hash) {
  const { data } = card;
  const own = modelOf(card, hash)?.name;
  const sorted = [...(card.verdicts ?? [])].sort((a, b) => (b.model === own) - (a.model === own));
  return [
    ...sorted.map((v) => el('article', { class: v.model === own ? 'verdict own' : 'verdict' },
      el('p', null, el('strong', null, v.model), v.model === own ? ' (this checkpoint): ' : ': ', v.headline),
      el('ul', null, (v.details ?? []).map((text) => el('li', null, text))))),
    ...(card.verdicts?.length > 0 ? [] : [el('p', { class: 'flag' }, 'The card has no verdict: it was made without the table of densities.')]),
    el('p', { class: 'note' }, `Scored on the ${data.part} part of ${data.path}, ${plural(data.assets?.length ?? 0, 'asset')}; training before ${date(data.split.val_from)}, test from ${date(data.split.test_from)}. Made by ${card.build}.`),
    ...(card.notes ?? []).map((text) => el('p', { class: 'note' }, text)),
  ];
}

const modelOf = (card, hash) => card.models.find((m) => m.sha256 === hash);

// gainOf is a gain over one reference with its p: clear where p is below .05.
function gainOf(row, over, scale, digits) {
  const test = row.gains?.find((g) => g.over === over)?.test;
  if (!test || test.mean === null) return '–';
  const clear = test.p !== null && test.p < 0.05;
  return { text: `${test.mean > 0 ? '+' : ''}${number(scale * test.mean, digits)} (${test.p === null ? '–' : p(test.p)})`, class: clear ? (test.mean > 0 ? 'up' : 'down') : '' };
}

const oversOf = (rows) => [...new Set(rows.flatMap((r) => (r.gains ?? []).map((g) => g.over)))];

// ranked has a name and some columns for every row, and its gains.
function ranked(card, title, rows, columns, scale, digits) {
  const judged = new Set((card.verdicts ?? []).map((v) => v.model));
  const overs = oversOf(rows);
  return [
    el('h3', null, title),
    table(title, ['', ...columns.map(([head]) => head), ...overs.map((o) => `over ${o} (p)`)], rows.map((row) => [
      { text: row.name, class: judged.has(row.name) ? 'model' : '' },
      ...columns.map(([, value]) => value(row)), ...overs.map((o) => gainOf(row, o, scale, digits)),
    ])),
  ];
}

const share = (list, level) => percent(list?.find((i) => Math.abs(i.level - level) < 1e-9)?.share ?? NaN, 1);
const coverage = (rowOf) => [0.5, 0.8, 0.95].map((level) => [`in ${percent(level, 0)}`, (row) => share(rowOf(row), level)]);

export function scores(card) {
  const { density, path, volatility, direction } = card.results;
  const out = [];
  if (density) {
    out.push(...ranked(card, `Density of the next return, ${plural(density.targets, 'candle')} on ${plural(density.dates, 'date')}`, density.rows,
      [['ln p', (r) => number(r.log_score, 4)], ['CRPS bp', (r) => number(1e4 * r.crps, 1)], ...coverage((r) => r.calibrated ?? r.coverage)], 1, 4));
  }
  if (path) {
    const steps = path.rows[0]?.horizons.map((h) => h.horizon) ?? [];
    const last = steps.length - 1;
    out.push(...ranked(card, `Paths after ${plural(steps[last] ?? 0, 'candle')}, ${plural(path.origins, 'origin')}`,
      path.rows.map((r) => ({ name: r.name, ...r.horizons[last] })),
      [['CRPS bp', (r) => number(1e4 * r.crps, 1)], ...coverage((r) => r.calibrated ?? r.coverage)], 1e4, 2));
  }
  if (volatility) {
    out.push(...ranked(card, 'Variance of the next return', volatility.rows, [['QLIKE', (r) => number(r.qlike, 4)], ['R²', (r) => number(r.r2, 3)]], 1, 4));
  }
  if (direction) {
    out.push(el('h3', null, 'Direction of the next return'), table('Direction of the next return', ['', 'Hits', '95% interval', 'Commoner sign', 'p'],
      direction.rows.map((r) => [r.name, r.hits === null ? '–' : percent(r.hits), r.hits === null ? '–' : `${percent(r.lo)} … ${percent(r.hi)}`, percent(direction.majority), r.pt_p === null ? '–' : p(r.pt_p)])));
  }
  return out;
}

// calibration is what the checkpoint of a hash knows of its own errors, and the
// histogram of where outcomes fell within its densities.
export function calibration(card, hash) {
  const model = modelOf(card, hash);
  const row = card.results.density?.rows.find((r) => r.name === model.name);
  const c = model.calibration;
  const out = [];
  if (c) {
    out.push(facts([
      ['Temperature', number(c.temperature, 3)], [`Mean ${c.score} score before`, `${number(c.before, 4)} nats`], ['and after', `${number(c.after, 4)} nats`],
      ['Chosen on', plural(c.targets, 'candle')],
    ]));
  } else {
    out.push(el('p', { class: 'flag' }, 'Not calibrated: nothing shows how often its intervals hold. Run mqc calibrate.'));
  }
  if (row) {
    out.push(el('h3', null, `Where outcomes fell within the densities of ${model.name}`), pit(row.pit),
      el('p', { class: 'note' }, `Probability integral transforms in ${row.pit.length} bins: level where the densities are right. Largest distance from the uniform: ${number(row.ks, 3)}.`));
  }
  return out;
}

// pit draws a histogram beside the level line.
function pit(counts) {
  const [width, height] = [360, 90];
  const step = width / counts.length;
  const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
  const top = Math.max(...counts, mean) * 1.1;
  const y = (n) => height * (1 - n / top);
  return svg('svg', { viewBox: `0 0 ${width} ${height}`, class: 'pit', role: 'img', 'aria-label': 'Histogram of probability integral transforms' },
    counts.map((n, i) => svg('rect', { x: i * step + 0.5, y: y(n), width: step - 1, height: height - y(n) })),
    svg('path', { d: `M0 ${y(mean)}H${width}` }));
}
