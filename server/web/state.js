// What is looked at, and the address bar, which holds all of it.

// fields are those of the state by their name in the address; what has its default
// there is left out.
const fields = {
  asset: { text: '' },
  model: { text: '' },
  as_of: { text: '' }, // empty: the newest candle
  horizon: { number: 32, least: 1, whole: true },
  paths: { number: 256, least: 1, whole: true },
  temperature: { number: 1, least: 0, most: 5 },
  top_k: { number: 0, least: 0, whole: true },
  top_p: { number: 0, least: 0, most: 1 },
  seed: { number: 1, least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
  what_if: { text: '' }, // moves, as they were typed
  versus: { text: '' }, // a baseline
  view: { text: 'forecast' },
};

export const defaults = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.text ?? field.number]));

// valid is a value of a field, or undefined where it is none.
export function valid(name, value) {
  const field = fields[name];
  if (!field) return undefined;
  if (field.number === undefined) return String(value);
  const x = Number(value);
  if (value === '' || !Number.isFinite(x) || x < field.least || x > (field.most ?? Infinity) || (field.whole && !Number.isInteger(x))) return undefined;
  return x;
}

// readAddress is the state that the address holds, and the names of what it holds in vain.
export function readAddress() {
  const state = { ...defaults };
  const wrong = [];
  for (const [name, text] of new URLSearchParams(location.search)) {
    const value = valid(name, text);
    if (value === undefined) wrong.push(name);
    else state[name] = value;
  }
  return { state, wrong };
}

// writeAddress remembers a state: as a step that Back undoes, or in place of the last.
export function writeAddress(state, step) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== defaults[name]) query.set(name, value);
  }
  const address = query.size > 0 ? `?${query}` : location.pathname;
  if (address === (location.search || location.pathname)) return;
  history[step ? 'pushState' : 'replaceState'](null, '', address);
}

// place and drawing are the parts of a request.
export const place = ({ asset, model, as_of }) => ({ asset, model, ...(as_of && { as_of }) });

export function drawing({ horizon, paths, temperature, top_k, top_p, seed }) {
  return {
    horizon, paths, seed,
    ...(temperature !== 1 && { temperature }), ...(top_k > 0 && { top_k }), ...(top_p > 0 && { top_p }),
  };
}
