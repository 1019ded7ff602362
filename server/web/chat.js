// The chat: lines of the grammar, answered with numbers and with the call that gives
// the same. A line about a forecast moves the chart.

import { Problem, ask, curl } from './api.js';
import { byId, copyButton, el } from './dom.js';
import { formatMoves } from './moves.js';

const views = { '/v1/forecast': 'forecast', '/v1/scenario': 'scenario', '/v1/compare': 'compare', '/v1/analogues': 'analogues', '/v1/explain': 'explain' };

export function chat(app) {
  const [box, log, line, hints] = ['chat', 'log', 'line', 'hints'].map(byId);
  const form = box.querySelector('form');
  const past = JSON.parse(sessionStorage.getItem('lines') ?? '[]');
  let [place, controller, vocabulary] = [past.length, null, []];

  const say = (...children) => {
    const entry = el('article', null, ...children);
    log.append(entry);
    log.scrollTop = log.scrollHeight;
    return entry;
  };
  const ready = (text) => el('button', { type: 'button', class: 'quiet line', onclick: () => { line.value = text; send(); } }, text);

  const send = async () => {
    const text = line.value.trim();
    if (text === '') return;
    if (past.at(-1) !== text) past.push(text);
    sessionStorage.setItem('lines', JSON.stringify(past.slice(-100)));
    place = past.length;
    line.value = '';
    hide();
    controller?.abort();
    const { signal } = controller = new AbortController();
    const entry = say(el('p', { class: 'asked' }, text), el('p', { class: 'note' }, 'Drawing'));
    entry.setAttribute('aria-busy', 'true');
    try {
      const answer = await ask('/v1/chat', { line: text, state: stateOf(app.state) }, signal);
      entry.lastChild.replaceWith(...answered(answer));
      follow(app, answer);
    } catch (error) {
      entry.lastChild.replaceWith(...(signal.aborted ? [el('p', { class: 'note' }, 'Given up.')] : refused(error)));
    }
    entry.removeAttribute('aria-busy');
    log.scrollTop = log.scrollHeight;
  };
  // refused says what is wrong with a line, and has the nearest commands to press.
  const refused = (error) => (error instanceof Problem && error.status === 422
    ? [el('p', { class: 'bad' }, error.detail ?? error.message), ...error.errors.map((e) => ready(String(e.value ?? e.message)))]
    : [el('p', { class: 'bad' }, error.message)]);

  const hide = () => {
    hints.hidden = true;
    line.setAttribute('aria-expanded', 'false');
    line.removeAttribute('aria-activedescendant');
  };
  const chosen = () => hints.querySelector('[aria-selected=true]');
  const choose = (option) => {
    chosen()?.removeAttribute('aria-selected');
    option.setAttribute('aria-selected', 'true');
    line.setAttribute('aria-activedescendant', option.id);
    option.scrollIntoView({ block: 'nearest' });
  };
  const take = (text) => {
    line.value = text;
    line.focus();
    hide();
  };
  const suggest = () => {
    const found = complete(line.value, vocabulary);
    if (found.length === 0) return hide();
    hints.replaceChildren(...found.map(({ text, says }, i) => el('li', { role: 'option', id: `hint-${i}`, 'data-text': text, onpointerdown: (event) => { event.preventDefault(); take(text); } }, text, says && el('small', null, says))));
    hints.hidden = false;
    line.setAttribute('aria-expanded', 'true');
  };

  line.addEventListener('input', suggest);
  line.addEventListener('blur', hide);
  line.addEventListener('keydown', (event) => {
    const { key } = event;
    const open = !hints.hidden;
    if (key === 'Tab' && open && !event.shiftKey) {
      event.preventDefault();
      take((chosen() ?? hints.firstElementChild).dataset.text);
    } else if (key === 'Escape' && open) {
      event.stopPropagation();
      hide();
    } else if (key === 'Escape') {
      controller?.abort();
    } else if (key === 'ArrowDown' && open) {
      event.preventDefault();
      choose(chosen()?.nextElementSibling ?? hints.firstElementChild);
    } else if (key === 'ArrowUp' && open && chosen()) {
      event.preventDefault();
      choose(chosen().previousElementSibling ?? hints.lastElementChild);
    } else if ((key === 'ArrowUp' || key === 'ArrowDown') && past.length > 0) {
      event.preventDefault();
      place = Math.max(0, Math.min(past.length, place + (key === 'ArrowUp' ? -1 : 1)));
      line.value = past[place] ?? '';
      hide();
    }
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.closest('input, select, textarea, dialog')) return;
    event.preventDefault();
    line.focus();
  });

  // start learns the commands, and shows some to press.
  return async function start() {
    const { commands, assets, models } = await ask('/v1/chat');
    vocabulary = { commands, assets, models };
    say(el('p', { class: 'note' }, 'A small grammar, no language model: what is not understood is answered with the nearest commands.'),
      el('div', { class: 'starters' }, starters.map(ready)));
  };
}

// starters are lines for a first try, whatever the asset is.
const starters = ['forecast 32c', 'what if -8%, +2%', 'compare with har', 'P(close > +5% in 10c)', 'vol next week', 'show analogues', 'explain', 'help'];

// stateOf is the state as the chat has it: dates are days there.
const stateOf = ({ asset, model, as_of, horizon, paths, temperature, seed }) => ({ asset, model, ...(as_of && { as_of: as_of.slice(0, 10) }), horizon: `${horizon}c`, paths, temperature, seed });

function answered({ text, warnings, call }) {
  const [command, ...lines] = text.trimEnd().split('\n');
  const out = [el('p', { class: 'said' }, command), ...blocks(lines.map(withoutPlot)), ...(warnings ?? []).map((w) => el('p', { class: 'flag' }, w))];
  if (call) {
    const line = curl(call);
    out.push(el('div', { class: 'call' }, el('code', null, `${call.method} ${call.path}${call.body ? ` ${JSON.stringify(call.body)}` : ''}`), copyButton(() => line, 'Copy as curl')));
  }
  return out;
}

// blocks are the lines of an answer: those of tables keep their columns, others wrap.
function blocks(lines) {
  const out = [];
  let rows = null;
  for (const line of lines) {
    if (!/\S {2,}\S/.test(line)) {
      rows = null;
      out.push(el('p', null, line));
    } else if (rows) {
      rows.append(`\n${line}`);
    } else {
      out.push(rows = el('pre', { tabindex: 0 }, line));
    }
  }
  return out;
}

// withoutPlot leaves out the fans that a terminal draws of letters: the chart has them.
const withoutPlot = (line) => line.replace(/ +(?:5 to 95%|[─▒█][─▒█ ]*)$/, '').trimEnd();

// follow moves the controls to what an answer is about.
function follow(app, { call, state }) {
  const changes = {};
  for (const name of ['asset', 'model', 'seed', 'paths', 'temperature', 'as_of']) {
    if (state?.[name] !== undefined) changes[name] = state[name];
  }
  // A time of the day that was looked at stays.
  if (app.state.as_of.slice(0, 10) === changes.as_of) delete changes.as_of;
  const view = views[call?.path];
  if (view) changes.view = view;
  if (['forecast', 'scenario', 'compare'].includes(view)) {
    changes.horizon = call.body.horizon;
    changes.paths = call.body.paths;
    changes.temperature = call.body.temperature ?? 1;
    changes.what_if = view === 'scenario' ? formatMoves(call.body.returns.map((r) => Math.expm1(r))) : '';
    changes.versus = view === 'compare' ? call.body.baseline : '';
  }
  app.set(changes);
}

// complete are commands and names that begin as a line does.
function complete(text, { commands = [], assets = [], models = [] }) {
  const line = text.toLowerCase();
  if (line.trim() === '') return [];
  const begun = commands.filter((c) => c.example.toLowerCase().startsWith(line) && c.example.toLowerCase() !== line).map((c) => ({ text: c.example, says: c.usage }));
  const word = line.split(/\s+/).at(-1);
  if (word === '' || !line.includes(' ')) return begun;
  const head = text.slice(0, text.length - word.length);
  const names = [...assets, ...models].filter((n) => n.toLowerCase().startsWith(word) && n.toLowerCase() !== word);
  return [...begun, ...names.map((name) => ({ text: head + name }))].slice(0, 8);
}
