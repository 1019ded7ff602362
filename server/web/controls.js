// The controls of the head: each is a field of the state.

import { endOf } from './app.js';
import { byId, el } from './dom.js';
import { isDaily } from './format.js';
import { valid } from './state.js';

// lastKnown is the time of the newest candle that the model may see, once that is
// loaded: of a date, the last hour.
function lastKnown({ history, state }) {
  const { asset, candles, known } = history ?? {};
  if (asset !== state.asset) return undefined;
  const { at, time } = candles[known - 1];
  const end = endOf(state.as_of);
  return at < end && (known === candles.length || candles[known].at >= end) ? time : undefined;
}

export function controls(app) {
  const form = byId('controls');
  const { asset, model, as_of: asOf } = form.elements;
  const [latest, run] = [byId('latest'), byId('run')];
  const numbers = ['horizon', 'paths', 'temperature', 'top_k', 'top_p', 'seed'].map((name) => form.elements[name]);

  const options = (select, names) => {
    if (select.options.length !== names.length) select.replaceChildren(...names.map((name) => el('option', null, name)));
  };
  app.on('state history', () => {
    options(asset, app.assets.map((a) => a.name));
    options(model, app.models.map((m) => m.name));
    asset.value = app.state.asset;
    model.value = app.state.model;
    const chosen = app.asset;
    if (chosen) {
      const daily = isDaily(chosen.interval);
      asOf.type = daily ? 'date' : 'datetime-local';
      const cut = (time) => time.slice(0, daily ? 10 : 16);
      [asOf.min, asOf.max] = [cut(chosen.first), cut(chosen.last)];
      asOf.parentElement.classList.toggle('time', !daily);
      asOf.value = cut((!daily && app.state.as_of.length === 10 && lastKnown(app)) || app.state.as_of || chosen.last);
    }
    latest.disabled = app.state.as_of === '';
    for (const input of numbers) {
      if (input === document.activeElement && valid(input.name, input.value) === app.state[input.name]) continue;
      input.value = input.placeholder && app.state[input.name] === 0 ? '' : app.state[input.name];
      input.setCustomValidity('');
    }
  });

  asset.addEventListener('change', () => app.set({ asset: asset.value }));
  model.addEventListener('change', () => app.set({ model: model.value }));
  asOf.addEventListener('change', () => {
    if (!asOf.value) return;
    const last = asOf.value >= asOf.max;
    app.set({ as_of: last ? '' : asOf.value.length > 10 ? `${asOf.value}:00Z` : asOf.value }, 150);
  });
  latest.addEventListener('click', () => app.set({ as_of: '' }));
  for (const input of numbers) {
    input.addEventListener('input', () => {
      const value = valid(input.name, input.value === '' && input.placeholder ? 0 : input.value);
      input.setCustomValidity(value === undefined ? 'Not a value that can be drawn with' : '');
      if (value !== undefined) app.set({ [input.name]: value }, 400);
    });
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (app.running) app.stop();
    else app.again();
  });
  app.on('busy idle', () => { run.textContent = app.running ? 'Stop' : 'Draw'; });
}

// tabs shows one panel at a time. Arrow keys move among tabs.
export function tabs(app) {
  const all = [...document.querySelectorAll('[role=tab]')];
  const panelOf = (tab) => byId(tab.getAttribute('aria-controls'));
  app.on('state', () => {
    const chosen = all.find((tab) => panelOf(tab).id === app.state.view) ?? all[0];
    for (const tab of all) {
      tab.setAttribute('aria-selected', tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      panelOf(tab).hidden = tab !== chosen;
    }
  });
  for (const [i, tab] of all.entries()) {
    tab.addEventListener('click', () => app.set({ view: panelOf(tab).id }));
    tab.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = all[(i + step + all.length) % all.length];
      next.focus();
      next.click();
    });
  }
}

// themes switches between dark and light, and remembers what was chosen.
export function themes(app) {
  const button = byId('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    app.emit('theme');
  };
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    localStorage.setItem('theme', document.documentElement.dataset.theme);
    show();
  });
  system.addEventListener('change', show);
  show();
}
