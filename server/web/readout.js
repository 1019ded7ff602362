// The numbers of the forecast: what the table under the chart says, and what is
// under the pointer.

import { bandsOf, hasIntervals, shares, shown } from './bands.js';
import { byId, el, facts, table } from './dom.js';
import { change, date, number, percent, plural, price } from './format.js';

// range is a band as prices or as moves from the last close.
export const range = ([lo, hi], last, moves) => (moves
  ? `${change(lo / last - 1)} … ${change(hi / last - 1)}`
  : `${price(lo, last)} … ${price(hi, last)}`);

export const close = (x, last, moves) => (moves ? change(x / last - 1) : price(x, last));

export function readout(app, panel) {
  let moves = localStorage.getItem('unit') === 'moves';
  const unit = el('button', { type: 'button', class: 'quiet', onclick: () => {
    moves = !moves;
    localStorage.setItem('unit', moves ? 'moves' : 'prices');
    show();
  } });
  const body = el('div');
  panel.append(body);

  const show = () => {
    const drawn = app.answer ?? app.progress;
    if (!drawn) {
      body.replaceChildren(el('p', { class: 'note' }, 'The forecast appears here while its paths are drawn.'));
      return;
    }
    unit.textContent = moves ? 'Show prices' : 'Show moves in %';
    const last = app.answer?.last_close ?? app.history.candles[app.history.known - 1].close;
    const bands = bandsOf(drawn);
    const realised = app.answer?.realised ?? [];
    const rows = bands.filter(({ step }) => shown(step, bands.length)).map(({ step, time, up, median, bands: [b95, b80, b50] }) => {
      const came = realised[step - 1];
      return [
        number(step, 0), date(time, app.history.interval), percent(up), close(median, last, moves),
        { text: range(b50, last, moves), class: 'range' }, { text: range(b80, last, moves), class: 'range' }, { text: range(b95, last, moves), class: 'range' },
        came ? { text: close(came.close, last, moves), class: inside(came.close, b80) ? '' : inside(came.close, b95) ? 'near' : 'out' } : '',
      ];
    });
    body.replaceChildren(
      el('div', { class: 'row' }, app.answer ? summary(app.answer, bands) : null, unit),
      table('Forecast of the close', ['Step', 'Date', 'P(up)', 'Median', '50%', '80%', '95%', realised.length > 0 ? 'Realised' : ''], rows),
      el('p', { class: 'note' }, `${kindOf(drawn)} P(up) is the share of paths that close above the last close.`),
    );
  };
  app.on('begin progress answer history', show);
}

// kindOf says what the ranges are.
function kindOf({ steps }) {
  if (hasIntervals(steps)) return 'Ranges are calibrated: on validation they held their share of the outcomes.';
  const reach = steps.filter((s) => s.intervals).length;
  return reach > 0
    ? `Ranges are quantiles of the paths: calibrated ones reach ${plural(reach, 'candle')}, so ask for no longer a horizon to have them.`
    : 'Ranges are quantiles of the paths, and not calibrated.';
}

const inside = (x, [lo, hi]) => lo <= x && x <= hi;

function summary(answer, bands) {
  const { density, realised, volatility, steps } = answer;
  const held = (i) => `${realised.filter((c, k) => inside(c.close, bands[k].bands[i])).length}`;
  const sample = answer.identity.config;
  return facts([
    ['Volatility to the end', percent(volatility)],
    ['P(up) at the end', percent(steps.at(-1).p_up)],
    density && ['P(up) of the next close, exact', percent(density.p_up)],
    ['Logits divided by', number(sample.logits_temperature, 3)],
    realised.length > 0 && [`Realised inside ${shares.map((s) => percent(s, 0)).toReversed().join(' / ')}`, `${held(2)} / ${held(1)} / ${held(0)} of ${realised.length}`],
  ]);
}

// legend tells what is under the pointer.
export function legend(app, chart, box) {
  const word = (name, value, kind) => el('span', { class: kind }, el('b', null, name), ` ${value}`);
  const last = () => app.history.candles[app.history.known - 1];
  const candle = (c, before) => [
    word('', date(c.time, app.history.interval)),
    ...[['O', c.open], ['H', c.high], ['L', c.low], ['C', c.close]].map(([name, x]) => word(name, price(x, last().close))),
    before && word('', change(c.close / before.close - 1, 2), c.close >= before.close ? 'up' : 'down'),
  ];
  const rest = () => {
    const { candles, known } = app.history;
    box.replaceChildren(...candle(candles[known - 1], candles[known - 2]).filter(Boolean));
  };
  chart.onhover = (what) => {
    if (!app.history) return;
    if (!what) return rest();
    if (what.candle) return box.replaceChildren(...candle(what.candle, what.before).filter(Boolean));
    const drawn = app.answer ?? app.progress;
    if (!drawn) return rest();
    const b = bandsOf(drawn)[what.step - 1];
    const near = last().close;
    const came = app.answer?.realised[what.step - 1];
    box.replaceChildren(...[
      word(`+${what.step}`, date(b.time, app.history.interval)),
      word('P(up)', percent(b.up)), word('median', price(b.median, near), 'model'),
      word('50%', range(b.bands[2], near)), word('80%', range(b.bands[1], near)), word('95%', range(b.bands[0], near)),
      came && word('came', price(came.close, near)),
      what.close !== null && what.close !== undefined && what.path >= 0 && word(chart.pinned >= 0 ? `path ${what.path + 1}, kept` : `path ${what.path + 1}`, price(what.close, near)),
    ].filter(Boolean));
  };
  app.on('history', rest);
}

// key names the fans of the chart by their colours.
export function key(app, box) {
  const show = () => {
    const name = (kind, text) => el('span', { class: kind }, el('i'), text);
    box.replaceChildren(...[
      name('model', app.state.model),
      app.scenario && name('what-if', `if ${app.scenario.given.map((r) => change(Math.expm1(r))).join(', ')}`),
      app.compare && name('other', app.compare.baseline),
    ].filter(Boolean));
  };
  app.on('begin history scenario compare', show);
}

// headline says what is looked at, how far it is, and what the model has seen.
export function headline(app) {
  const [title, where, status, seen, bar, fail] = ['title', 'where', 'status', 'seen', 'progress', 'error'].map(byId);
  const main = document.querySelector('main');
  app.on('history', () => {
    const { asset, interval, candles, known } = app.history;
    const last = candles[known - 1];
    title.textContent = asset;
    document.title = `${asset} · mqc`;
    seen.hidden = true;
    where.textContent = `${interval} · ${date(last.time, interval)} · close ${price(last.close)}`;
  });
  const advance = (n) => {
    bar.setAttribute('aria-valuemax', app.state.paths);
    bar.setAttribute('aria-valuenow', n);
    bar.firstElementChild.style.transform = `scaleX(${n / app.state.paths})`;
  };
  app.on('busy', () => {
    main.setAttribute('aria-busy', 'true');
    fail.hidden = true;
  });
  app.on('begin', () => {
    seen.hidden = true;
    status.textContent = `Drawing ${plural(app.state.paths, 'path')}`;
    advance(0);
  });
  app.on('progress', () => advance(app.progress.paths));
  app.on('answer', () => {
    const { in_fit: fit, in_selected: selected, identity, warnings } = app.answer;
    status.textContent = `${plural(app.state.paths, 'path')} of ${plural(app.state.horizon, 'candle')}`;
    const mark = fit ? 'Inside fit.' : selected ? 'Inside selected.' : '';
    seen.hidden = warnings.length === 0;
    seen.className = fit ? 'flag bad' : 'flag';
    seen.replaceChildren(...[mark && el('b', null, mark), ...warnings.map((w) => el('p', null, w))].filter(Boolean));
    byId('identity').textContent = `${identity.checkpoint} · SHA-256 ${identity.sha256.slice(0, 12)} · seed ${identity.seed} · trained by ${identity.trained_by} · served by ${identity.version}`;
  });
  app.on('idle', () => {
    main.setAttribute('aria-busy', 'false');
    if (app.stopped) status.textContent = 'Stopped: press Draw to go on';
    else if (!app.answer) status.textContent = '';
    advance(0);
  });
  app.on('error', () => {
    fail.hidden = false;
    fail.firstElementChild.textContent = app.error.message;
  });
  fail.lastElementChild.addEventListener('click', () => { fail.hidden = true; });
}
