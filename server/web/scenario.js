// What if: the next closes are typed or slid, and the fan that follows is drawn over
// the one without them.

import { bandsOf, shown } from './bands.js';
import { el, facts, table } from './dom.js';
import { change, date, number, percent, plural } from './format.js';
import { formatMoves, parseMoves } from './moves.js';
import { close, range } from './readout.js';

const most = 20; // percent that a slider reaches to each side

export function scenario(app, chart, panel) {
  const line = el('input', { type: 'text', id: 'moves', autocomplete: 'off', spellcheck: 'false', placeholder: '-8%, then flat', 'aria-describedby': 'moves-wrong' });
  const wrong = el('p', { id: 'moves-wrong', class: 'note bad', role: 'status' });
  const sliders = el('div', { class: 'sliders' });
  const result = el('div', { 'aria-live': 'polite' });

  let taken = ''; // of what was typed or slid, the last that are moves
  const take = (text, wait) => {
    try {
      parseMoves(text);
      wrong.textContent = '';
      taken = text.trim();
      app.set({ what_if: taken }, wait);
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  const put = (moves, wait) => {
    line.value = formatMoves(moves);
    take(line.value, wait);
  };
  const moves = () => {
    try { return parseMoves(app.state.what_if); } catch { return []; }
  };
  const add = el('button', { type: 'button', class: 'quiet', onclick: () => put([...moves(), 0]) }, 'Add a close');
  const clear = el('button', { type: 'button', class: 'quiet', onclick: () => put([]) }, 'Clear');
  panel.append(
    el('form', { class: 'row', onsubmit: (event) => { event.preventDefault(); take(line.value); } },
      el('label', { class: 'grow', for: 'moves' }, 'If the next closes move by', line),
      el('button', { type: 'submit' }, 'What if'), add, clear),
    wrong, sliders, result,
  );
  line.addEventListener('input', () => take(line.value, 600));

  const slide = (i) => {
    const shownMove = el('output');
    const input = el('input', { type: 'range', min: -most, max: most, step: 0.25, 'aria-label': `Move of close ${i + 1} in percent` });
    input.addEventListener('input', () => {
      const next = moves();
      next[i] = Number(input.value) / 100;
      put(next, 350);
    });
    return el('label', null, `Close +${i + 1}`, input, shownMove);
  };
  app.on('state', () => {
    const given = moves();
    if (app.state.what_if !== taken || document.activeElement !== line) line.value = taken = app.state.what_if;
    while (sliders.children.length > given.length) sliders.lastElementChild.remove();
    while (sliders.children.length < given.length) sliders.append(slide(sliders.children.length));
    given.forEach((move, i) => {
      const [, input, output] = sliders.children[i].childNodes;
      if (document.activeElement !== input) input.value = 100 * move;
      output.textContent = change(move, 2);
    });
    clear.disabled = given.length === 0;
    if (app.state.what_if === '') hide();
  });

  const hide = () => {
    chart.removeFan('scenario');
    result.replaceChildren(el('p', { class: 'note' }, 'Each path draws its next candles among those that end with the closes you give. What follows is the model’s own.'));
  };
  app.on('begin history', hide);
  app.on('scenario', () => {
    if (!app.scenario) return hide();
    const { conditional, unconditional, surprise, effective, given, last_close: last, interval } = app.scenario;
    const warnings = app.scenario.warnings.filter((w) => !app.answer.warnings.includes(w)); // those are shown above
    const [if_, else_] = [bandsOf(conditional), bandsOf(unconditional)];
    chart.setFan('scenario', if_);
    const rows = if_.filter(({ step }) => shown(step, if_.length)).map((b) => {
      const free = else_[b.step - 1];
      return [
        number(b.step, 0), date(b.time, interval),
        { text: percent(b.up), class: 'what-if' }, percent(free.up),
        { text: close(b.median, last), class: 'what-if' }, close(free.median, last),
        { text: range(b.bands[1], last), class: 'what-if range' }, { text: range(free.bands[1], last), class: 'range' },
      ];
    });
    result.replaceChildren(
      facts([
        ['Surprise, −ln p', `${number(surprise)} nats`],
        ['Worth', `${number(effective, 1)} of ${plural(app.state.paths, 'path')}`],
        ['Given closes', `${given.map((r) => change(Math.expm1(r), 2)).join(', ')}`],
        ['Volatility to the end', `${percent(conditional.volatility)}, else ${percent(unconditional.volatility)}`],
      ]),
      ...warnings.map((w) => el('p', { class: 'flag' }, w)),
      table('The forecast given these closes beside the one without', ['Step', 'Date', 'P(up) if', 'else', 'Median if', 'else', '80% if', 'else'], rows),
      el('p', { class: 'note' }, 'The surprise is −ln of the joint density of the given log returns: one more nat is e times less likely; usual days can lie below zero.'),
    );
  });
}
