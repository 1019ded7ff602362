// The runs of a registry, and their curves while they train.

import { ask, stream } from './api.js';
import { colour, el, table } from './dom.js';
import { date, number, plural } from './format.js';

const hour = (time) => date(time, '1h');

// trainings lists runs while the evidence is looked at, and draws the one chosen.
export function trainings(app, section) {
  const list = el('div');
  const curves = el('div', { 'aria-live': 'off' });
  section.append(list, curves);
  let [seen, following, plot] = [false, null, null];

  const follow = async (run) => {
    following?.abort();
    const { signal } = following = new AbortController();
    plot = new Curves(curves, run);
    try {
      await stream(`/v1/runs/${run.id}/events`, undefined, signal, (name, value) => {
        if (signal.aborted) return;
        if (name === 'event') plot.add(value);
        else plot.state(value);
      });
    } catch (error) {
      if (!signal.aborted) curves.replaceChildren(el('p', { class: 'flag bad' }, error.message));
    }
  };
  const load = async () => {
    const { runs } = await ask('/v1/runs');
    if (runs.length === 0) {
      list.replaceChildren(el('p', { class: 'note' }, 'No run was recorded in the folder of checkpoints: mqc train records each of its runs there, and their curves grow here while they train.'));
      return;
    }
    list.replaceChildren(table('Training runs', ['Run', 'Stage:', 'State:', 'Step', 'Best', 'At step', 'Began', 'Checkpoint:', ''], runs.map((r) => [
      number(r.id, 0), r.stage, { text: r.state, class: r.state === 'running' ? 'model' : '' },
      r.steps > 0 ? `${number(r.step, 0)} of ${number(r.steps, 0)}` : number(r.step, 0),
      r.best === null ? '–' : `${r.metric} ${number(r.best, 4)}`, number(r.best_step, 0), hour(r.started), r.checkpoint,
      el('button', { type: 'button', class: 'quiet', onclick: () => follow(r) }, 'Curves'),
    ])));
    await follow(runs.find((r) => r.state === 'running') ?? runs[0]);
  };
  app.on('state', () => {
    const looks = app.state.view === 'evidence';
    if (looks && !seen) load().catch((error) => list.replaceChildren(el('p', { class: 'flag bad' }, error.message)));
    if (!looks && seen) following?.abort();
    seen = looks;
  });
  app.on('theme', () => plot?.redraw());
}

// Curves is one chart for every measure of the events of a run.
class Curves {
  #series = new Map(); // by measure: [steps, values]
  #charts = new Map();
  #planned = false;

  constructor(box, run) {
    this.head = el('h3', null, `Run ${run.id}: ${run.stage}`);
    this.box = el('div', { class: 'curves' });
    box.replaceChildren(this.head, this.box);
    this.state(run);
  }

  state(run) {
    this.head.textContent = `Run ${run.id}: ${run.stage}, ${run.state}${run.steps > 0 ? `, ${plural(run.steps, 'step')}` : ''}${run.message ? `. ${run.message}` : ''}`;
  }

  add({ kind, step, measures }) {
    for (const [name, value] of Object.entries(measures ?? {})) {
      const key = `${kind} ${name}`;
      if (!this.#series.has(key)) this.#series.set(key, [[], []]);
      const [steps, values] = this.#series.get(key);
      steps.push(step);
      values.push(value);
    }
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  // redraw takes the colours of the theme.
  redraw() {
    for (const { plot } of this.#charts.values()) plot.redraw(false);
  }

  async #draw() {
    const { default: UPlot } = await import('./lib/uplot.mjs');
    for (const [name, data] of this.#series) {
      if (!this.#charts.has(name)) {
        const now = el('b');
        const box = this.box.appendChild(el('div', null, el('p', { class: 'note' }, `${name} `, now)));
        this.#charts.set(name, { now, plot: new UPlot(options(), data, box) });
      }
      const { now, plot } = this.#charts.get(name);
      plot.setData(data);
      now.textContent = number(data[1].at(-1), 4);
    }
  }
}

function options() {
  const axis = { stroke: () => colour('muted'), grid: { stroke: () => colour('grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif', size: 44 };
  return {
    width: 300, height: 170, legend: { show: false }, cursor: { y: false },
    scales: { x: { time: false } }, axes: [{ ...axis, size: 28 }, axis],
    series: [{}, { stroke: () => colour('accent'), width: 1.5, points: { show: false } }],
  };
}
