// Numbers and dates as the page shows them: one way for each, with aligned digits.

const minus = (text) => text.replace('-', '−');

const formats = new Map();
function fixed(x, digits) {
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return minus(formats.get(digits).format(x));
}

export const number = (x, digits = 2) => (x === null || x === undefined || !Number.isFinite(x) ? '–' : fixed(x, digits));

// priceDigits are the decimals that a price of about this size needs.
export function priceDigits(near) {
  if (near >= 10_000) return 0;
  if (near >= 10) return 2;
  return near >= 1 ? 3 : Math.min(8, 3 - Math.floor(Math.log10(near)));
}
export const price = (x, near = x) => number(x, priceDigits(near));

// percent shows a share; change shows a move, with its sign.
export const percent = (x, digits = 1) => number(100 * x, digits) + (Number.isFinite(x) ? '%' : '');
export const change = (x, digits = 1) => (x > 0 ? '+' : '') + percent(x, digits);

// date is a time of an answer; of daily candles, and of longer ones, without the hour.
export function date(time, interval = '1d') {
  if (!time) return '–';
  const text = new Date(time).toISOString();
  return isDaily(interval) ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}
export const isDaily = (interval) => /[dw]|mo/.test(interval);

export const p = (x) => (x < 0.001 ? '< .001' : number(x, 3).replace(/^0/, ''));
export const plural = (n, one, many = one + 's') => `${number(n, 0)} ${n === 1 ? one : many}`;

// levelName is a level of a quantile: .025 is 2.5%.
export const levelName = (level) => `${+(100 * level).toFixed(2)}%`;
