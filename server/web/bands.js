// The bands of a fan, from an answer: what its levels and its calibration say.

export const shares = [0.95, 0.8, 0.5];

// bandsOf is, for every step, the interval of each share and the median. Calibrated
// intervals are taken where every step has them; else quantiles of the paths.
export function bandsOf({ levels, steps }) {
  const calibrated = hasIntervals(steps);
  const middle = find(levels, 0.5);
  return steps.map((step) => ({
    step: step.step, time: step.time, up: step.p_up, median: step.quantiles[middle],
    bands: shares.map((share) => (calibrated ? intervalOf(step, share) : between(levels, step, share))),
  }));
}

export const hasIntervals = (steps) => steps.every((step) => shares.every((share) => intervalOf(step, share)));

function intervalOf(step, share) {
  const found = step.intervals?.find((i) => near(i.level, share));
  return found && [found.lo, found.hi];
}

function between(levels, step, share) {
  const lo = find(levels, (1 - share) / 2);
  const hi = find(levels, (1 + share) / 2);
  if (lo < 0 || hi < 0) throw new Error(`The answer has no quantiles of ${100 * share}%: server and page are of different versions. Load the page again.`);
  return [step.quantiles[lo], step.quantiles[hi]];
}

const near = (a, b) => Math.abs(a - b) < 1e-9;
const find = (levels, level) => levels.findIndex((l) => near(l, level));

// shown says which steps of a horizon a table has, as those of the program do.
export const shown = (step, horizon) => step <= 2 || step === 5 || step === horizon || step % 10 === 0;
