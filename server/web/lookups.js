// What the model looks at: the likeliest next candles, and stretches of the past like
// the newest one. Each is asked for when its panel is looked at.

import { ask } from './api.js';
import { smallCandles } from './candles.js';
import { el, facts } from './dom.js';
import { change, date, levelName, number, percent, price } from './format.js';
import { place } from './state.js';

// lookup asks for what a panel shows once the panel is seen, and again when what it
// is about changes; a later question gives an earlier one up.
export function lookup(app, view, panel, body, keyOf, look) {
  let [done, controller] = [null, null];
  const check = async () => {
    const key = app.state.view === view && app.history ? JSON.stringify(keyOf()) : done;
    if (key === done) return;
    done = key;
    controller?.abort();
    const { signal } = controller = new AbortController();
    panel.setAttribute('aria-busy', 'true');
    try {
      const children = await look(signal);
      if (!signal.aborted) body.replaceChildren(...children);
    } catch (error) {
      if (signal.aborted) return;
      done = null;
      body.replaceChildren(el('p', { class: 'flag bad' }, error.message));
    }
    if (!signal.aborted) panel.setAttribute('aria-busy', 'false');
  };
  app.on('state history idle', () => { if (!app.running) check(); });
}

export function explain(app, panel) {
  const body = el('div', { 'aria-live': 'polite' });
  panel.append(body);
  lookup(app, 'explain', panel, body, () => place(app.state), async (signal) => {
    const { tokens, density, last_close: last } = await ask('/v1/explain', { ...place(app.state), count: 24 }, signal);
    const low = Math.min(...tokens.map((t) => t.candle.low), last);
    const high = Math.max(...tokens.map((t) => t.candle.high), last);
    const sum = tokens.reduce((s, t) => s + t.probability, 0);
    return [
      facts([
        density && ['P(up) of the next close, exact', percent(density.p_up)],
        ...(density ? density.levels.map((level, i) => [levelName(level), price(density.quantiles[i], last)]) : []),
      ]),
      el('ol', { class: 'tokens' }, tokens.map(({ token, probability, candle, return: r }) => el('li', null,
        smallCandles([candle], { width: 44, height: 64, low, high, label: `candle of token ${token}: ${change(Math.expm1(r), 2)}` }),
        el('strong', null, percent(probability)),
        el('span', { class: r >= 0 ? 'up' : 'down' }, change(Math.expm1(r), 2)),
        el('small', null, `token ${token}`)))),
      el('p', { class: 'note' }, `The ${tokens.length} likeliest of the ${number(app.model.vocabulary, 0)} tokens that may come next, at temperature 1, each as the candle that it decodes to after the last close, on one scale. Together they have ${percent(sum)}.`),
    ];
  });
}

export function analogues(app, panel) {
  const input = (label, value, least, most) => el('input', { type: 'number', value, min: least, max: most, 'aria-label': label, onchange: () => app.emit('state') });
  const [window_, horizon, count] = [input('Candles to compare', 20, 2, 1000), input('Candles of what followed', 20, 1, 400), input('How many', 8, 1, 50)];
  const body = el('div', { 'aria-live': 'polite' });
  panel.append(el('div', { class: 'row' }, el('label', null, 'Candles to compare', window_), el('label', null, 'What followed', horizon), el('label', null, 'How many', count)), body);
  const sizes = () => ({ window: Number(window_.value), horizon: Number(horizon.value), count: Number(count.value) });
  lookup(app, 'analogues', panel, body, () => [place(app.state), sizes()], async (signal) => {
    const { analogues: found, before, interval } = await ask('/v1/analogues', { ...place(app.state), ...sizes() }, signal);
    const ends = found.map((a) => Math.expm1(a.returns.at(-1))).sort((a, b) => a - b);
    return [
      facts([
        ['Looked among what ended before', date(before, interval)],
        ['Median of what followed', change(ends[Math.floor(ends.length / 2)], 1)],
        ['Rose', `${ends.filter((r) => r > 0).length} of ${ends.length}`],
      ]),
      el('ul', { class: 'cards' }, found.map((a) => el('li', null,
        el('p', null, el('strong', null, a.asset), ` ${date(a.window[0].time, interval)} to ${date(a.followed.at(-1).time, interval)}`),
        smallCandles([...a.window, ...a.followed], { width: 280, height: 96, future: a.window.length, label: `${a.asset} from ${date(a.window[0].time, interval)}` }),
        el('p', null, 'then ', el('span', { class: a.returns.at(-1) >= 0 ? 'up' : 'down' }, change(Math.expm1(a.returns.at(-1)), 1)), el('small', null, `distance ${number(a.distance)}`))))),
      el('p', { class: 'note' }, 'The nearest stretches of training history by log returns in units of the volatility of their day, and, shaded, what followed. So few of them forecast nothing; they show what the market was like.'),
    ];
  });
}
