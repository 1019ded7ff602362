// The one thing that panels share: what is looked at, what the server has, and what
// it answered. Panels change the state by set, and listen to events:
//
//	state     the state changed
//	history   candles of the asset are there, up to the date that is known
//	busy      something runs
//	begin     a forecast is asked for
//	progress  some paths were drawn
//	answer    all were
//	scenario  the answer of a scenario came, or there is none
//	compare   the answer of a baseline came, or there is none
//	error     what was asked for failed: error says how
//	idle      nothing runs

import { ask, pause, stream } from './api.js';
import { logReturns, parseMoves } from './moves.js';
import { drawing, place, readAddress, writeAddress } from './state.js';

// newest is how many candles are loaded at once, the most that the server gives.
const newest = 10_000;

export class App extends EventTarget {
  state = readAddress().state;
  assets = [];
  models = [];
  baselines = [];
  history = null; // {asset, interval, candles, known}: known is how many of them the model may see
  progress = null; // {paths, steps, levels}
  answer = null;
  scenario = null;
  compare = null;
  error = null;
  stopped = false; // by the user, before all was there

  #loaded = new Map(); // candles by asset
  #controller = null;
  #asked = null; // what the last run is to answer
  #done = {}; // and what it has

  emit(name) { this.dispatchEvent(new Event(name)); }
  on(names, listener) {
    for (const name of names.split(' ')) this.addEventListener(name, listener);
  }

  get running() { return this.#controller !== null; }
  get asset() { return this.assets.find((a) => a.name === this.state.asset); }
  get model() { return this.models.find((m) => m.name === this.state.model); }

  // start learns what the server has, and shows what the address asks for.
  async start() {
    const [{ assets }, list] = await Promise.all([ask('/v1/assets'), ask('/v1/models')]);
    Object.assign(this, { assets, models: list.models, baselines: list.baselines, standard: list.default });
    const { wrong } = readAddress();
    this.#complete(this.state);
    addEventListener('popstate', () => {
      this.state = this.#complete(readAddress().state);
      this.emit('state');
      this.run();
    });
    this.emit('state');
    await this.run();
    if (wrong.length > 0 && !this.error) this.fail(new Error(`The address says nothing that can be used of ${wrong.join(', ')}: the usual value is shown.`));
  }

  // #complete fills in what a state leaves to the server.
  #complete(state) {
    state.asset ||= this.assets[0].name;
    state.model ||= this.standard;
    return state;
  }

  // set changes the state, and asks for what that needs after some milliseconds
  // without another change.
  set(changes, wait = 0) {
    const next = { ...this.state, ...changes };
    if (Object.entries(next).every(([name, value]) => this.state[name] === value)) return;
    this.state = next;
    this.emit('state');
    if (this.#isAsked()) writeAddress(this.state, true);
    else this.run(wait);
  }

  // #keys are what each answer depends on.
  #keys() {
    const draw = JSON.stringify([place(this.state), drawing(this.state)]);
    return { forecast: draw, scenario: draw + this.state.what_if, compare: draw + this.state.versus };
  }
  // #isAsked is whether all that the state wants is there or under way.
  #isAsked() {
    const keys = this.#keys();
    return this.#asked !== null && Object.keys(keys).every((name) => keys[name] === this.#asked[name]);
  }

  // stop gives up what runs.
  stop() {
    if (!this.running) return;
    this.#abandon();
    this.stopped = true;
    this.emit('idle');
  }

  // again asks for all once more.
  again() {
    this.#done = {};
    this.#asked = null;
    return this.run();
  }

  #abandon() {
    this.#controller?.abort();
    this.#controller = this.#asked = null;
  }

  fail(error) {
    this.error = error;
    this.emit('error');
  }

  // run asks for what is not there yet: the forecast, the scenario, the baseline.
  async run(wait = 0) {
    if (this.#isAsked()) return;
    this.#abandon();
    const keys = this.#asked = this.#keys();
    const controller = this.#controller = new AbortController();
    const { signal } = controller;
    this.error = null;
    this.stopped = false;
    this.emit('busy');
    try {
      await this.#load(signal);
      if (wait > 0) await pause(wait, signal);
      writeAddress(this.state, this.#written);
      this.#written = true;
      if (keys.forecast !== this.#done.forecast) await this.#forecast(keys, signal);
      if (keys.scenario !== this.#done.scenario) await this.#whatIf(keys, signal);
      if (keys.compare !== this.#done.compare) await this.#versus(keys, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#asked = null;
      this.fail(error);
    }
    if (this.#controller !== controller) return;
    this.#controller = null;
    this.emit('idle');
  }
  #written = false; // the first address is no step of its own

  // #load has the candles of the asset, and cuts them at the date.
  async #load(signal) {
    const { asset, as_of: asOf } = this.state;
    const query = new URLSearchParams({ asset, limit: newest });
    if (!this.#loaded.has(asset)) {
      const list = await ask(`/v1/candles?${query}`, undefined, signal);
      this.#loaded.set(asset, { ...list, candles: list.candles.map(withTime) });
    }
    let { candles, interval, total } = this.#loaded.get(asset);
    const end = endOf(asOf);
    if (total > candles.length && end <= candles[0].at) {
      query.set('to', asOf);
      candles = (await ask(`/v1/candles?${query}`, undefined, signal)).candles.map(withTime);
    }
    const known = count(candles, end);
    if (known < 2) throw new Error(`${asset} has ${known === 1 ? 'one candle' : 'no candle'} until ${asOf}: move the date later than ${candles[0]?.time.slice(0, 10) ?? this.asset?.first.slice(0, 10)}.`);
    const before = this.history;
    this.history = { asset, interval, candles, known };
    if (before?.asset !== asset || before.known !== known || before.candles !== candles) {
      this.#forget();
      this.emit('history');
    }
  }

  // #forget drops answers that are of something else.
  #forget() {
    Object.assign(this, { progress: null, answer: null, scenario: null, compare: null });
    this.#done = {};
  }

  async #forecast(keys, signal) {
    this.#forget();
    this.emit('begin');
    const body = { ...place(this.state), ...drawing(this.state), return_paths: true };
    await stream('/v1/forecast', body, signal, (name, value) => {
      if (signal.aborted) return;
      if (name === 'steps') {
        this.progress = value;
        this.emit('progress');
      } else if (name === 'done') {
        this.answer = value;
        this.#done = { forecast: keys.forecast, scenario: keys.forecast, compare: keys.forecast };
        this.emit('answer');
      }
    });
    if (!this.answer && !signal.aborted) throw new Error('The stream ended before the forecast did: press Draw to ask again.');
  }

  async #whatIf(keys, signal) {
    this.scenario = null;
    if (this.state.what_if) {
      const returns = logReturns(parseMoves(this.state.what_if));
      this.scenario = await ask('/v1/scenario', { ...place(this.state), ...drawing(this.state), returns }, signal);
    }
    this.#done.scenario = keys.scenario;
    this.emit('scenario');
  }

  async #versus(keys, signal) {
    this.compare = null;
    if (this.state.versus) {
      this.compare = await ask('/v1/compare', { ...place(this.state), ...drawing(this.state), baseline: this.state.versus }, signal);
    }
    this.#done.compare = keys.compare;
    this.emit('compare');
  }
}

const withTime = (candle) => ({ ...candle, at: Date.parse(candle.time) });

// endOf is the first millisecond after a date, which is known as a whole, or after a
// time.
export function endOf(asOf) {
  if (!asOf) return Infinity;
  return Date.parse(asOf) + (asOf.length === 10 ? 86_400_000 : 1);
}

// count is how many candles there are before a time.
function count(candles, end) {
  let [lo, hi] = [0, candles.length];
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (candles[middle].at < end) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
