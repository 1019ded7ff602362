// A baseline's fan beside the model's.

import { bandsOf, shown } from './bands.js';
import { el, facts, table } from './dom.js';
import { date, number, percent } from './format.js';
import { close, range } from './readout.js';

export function compare(app, chart, panel) {
  const select = el('select', { onchange: () => app.set({ versus: select.value }) });
  const result = el('div', { 'aria-live': 'polite' });
  panel.append(el('div', { class: 'row' }, el('label', null, 'Baseline', select)), result);

  const hide = () => {
    chart.removeFan('versus');
    result.replaceChildren(el('p', { class: 'note' }, 'Choose a baseline: its fan is drawn over the model’s, fitted on no later candles than the model was.'));
  };
  app.on('state', () => {
    if (select.options.length === 0 && app.baselines.length > 0) {
      select.append(el('option', { value: '' }, 'none'), ...app.baselines.map((name) => el('option', null, name)));
    }
    select.value = app.state.versus;
    if (app.state.versus === '') hide();
  });
  app.on('begin history', hide);
  app.on('compare', () => {
    if (!app.compare) return hide();
    const { model, other, baseline, fitted_before: before, last_close: last, interval } = app.compare;
    const [ours, theirs] = [bandsOf(model), bandsOf(other)];
    chart.setFan('versus', theirs);
    const width = ({ bands: [, [lo, hi]] }) => Math.log(hi / lo);
    const rows = ours.filter(({ step }) => shown(step, ours.length)).map((a) => {
      const b = theirs[a.step - 1];
      return [
        number(a.step, 0), date(a.time, interval), percent(a.up), { text: percent(b.up), class: 'other' },
        close(a.median, last), { text: close(b.median, last), class: 'other' },
        { text: range(a.bands[1], last), class: 'range' }, { text: range(b.bands[1], last), class: 'other range' }, number(width(b) / width(a)),
      ];
    });
    result.replaceChildren(
      facts([
        ['Baseline', baseline],
        ['Fitted before', date(before, interval)],
        ['Volatility to the end', `model ${percent(model.volatility)}, baseline ${percent(other.volatility)}`],
      ]),
      table(`The model beside ${baseline}`, ['Step', 'Date', 'P(up)', 'baseline', 'Median', 'baseline', '80%', 'baseline', 'Width ratio'], rows),
      el('p', { class: 'note' }, 'The width ratio is that of the 80% ranges, baseline over model, in logarithms. Which of them is right is not seen in one forecast: the report card of the Evidence tells.'),
    );
  });
}
