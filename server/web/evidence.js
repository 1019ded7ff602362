// The evidence: the report card of the checkpoint, what made it, how well its
// probabilities held, and the runs that trained.

import { Problem, ask, send } from './api.js';
import { calibration, scores, verdicts } from './card.js';
import { el, facts, table } from './dom.js';
import { date, number } from './format.js';
import { lookup } from './lookups.js';
import { trainings } from './trainings.js';

export function evidence(app, panel) {
  const body = el('div');
  const runs = el('section', null, el('h2', null, 'Training runs'));
  panel.append(body, runs);
  lookup(app, 'evidence', panel, body, () => app.state.model, async (signal) => {
    const { model } = app;
    const card = await cardOf(model.name, signal);
    return [
      ...(card instanceof Problem ? [el('h2', null, 'Report card'), el('p', { class: 'flag' }, card.message)] : [
        el('div', { class: 'row' }, el('h2', null, 'Report card'), cardLink(model.name)),
        ...verdicts(card, model.sha256), ...scores(card),
        el('h2', null, 'Calibration'), ...calibration(card, model.sha256),
      ]),
      el('h2', null, 'Identity'), ...identity(app, model),
    ];
  });
  trainings(app, runs);
}

// cardOf is a card, or the problem that says how to make one.
async function cardOf(model, signal) {
  try {
    return await ask(`/v1/report?${new URLSearchParams({ model })}`, undefined, signal);
  } catch (error) {
    if (error.status === 404) return error;
    throw error;
  }
}

// cardLink opens the card as a page of its own. A link bears no token: where one is
// wanted, the page is saved.
function cardLink(model) {
  const address = `/v1/report?${new URLSearchParams({ model, format: 'html' })}`;
  if (!sessionStorage.getItem('token')) return el('a', { href: address, target: '_blank', rel: 'noopener' }, 'Open the whole card');
  return el('button', { type: 'button', class: 'quiet', onclick: async () => {
    const page = URL.createObjectURL(await (await send(address, undefined, undefined, 'text/html')).blob());
    el('a', { href: page, download: `${model.replaceAll('/', '-')}.html` }).click();
    URL.revokeObjectURL(page);
  } }, 'Save the whole card');
}

function identity(app, model) {
  const seen = (name, ranges) => ranges.map((r) => [
    name, r.part, r.stage,
    r.first ? date(r.first, model.interval) : r.hash ? `token ${r.from_index}` : 'unknown',
    r.last ? date(r.last, model.interval) : r.hash ? `token ${r.to_index}` : 'unknown',
    r.assets?.length > 3 ? `${r.assets.length} assets` : (r.assets ?? []).join(', '),
  ]);
  return [
    facts([
      ['Checkpoint', model.name], ['SHA-256', el('code', null, model.sha256)],
      ['Parameters', number(model.parameters, 0)], ['Tokens', number(model.vocabulary, 0)], ['Window', `${number(model.window, 0)} tokens`],
      ['Stages', (model.stages ?? []).join(', ')],
      ['Training before', date(model.val_from, model.interval)], ['Test from', date(model.test_from, model.interval)],
      app.answer && ['Seed of the forecast', number(app.answer.identity.seed, 0)],
      app.answer && ['Trained by', app.answer.identity.trained_by], app.answer && ['Served by', app.answer.identity.version],
    ]),
    table('What the model has seen', ['', 'Part:', 'Stage:', 'From', 'To', 'Assets:'], [...seen('fitted', model.fit ?? []), ...seen('selected', model.selected ?? [])]),
  ];
}
