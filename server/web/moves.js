// Moves of the next closes, as one types them: "-8%, 0, 0", "falls 8%, then flat".

const move = /^(?:(up|rises|down|falls|drops)\s+)?([+-]?\d*\.?\d+)\s*%?(?:\s+(?:tomorrow|next))?$/;
const flat = /^flat(?:\s+(?:for\s+)?(\d+)\s*(?:d|c|days?|candles?)?)?$/;
const maxMoves = 32;

// parseMoves reads moves as fractions: -.08 is −8%. It fails with a sentence.
export function parseMoves(text) {
  const out = [];
  const parts = text.toLowerCase().replaceAll('−', '-').replace(/^what if\s+/, '').split(/\s*(?:,|;|\bthen\b)\s*/);
  for (const part of parts.map((s) => s.trim()).filter(Boolean)) {
    const still = part.match(flat);
    const moved = part.match(move);
    if (still) {
      for (let i = 0; i < Number(still[1] ?? 1) && out.length <= maxMoves; i++) out.push(0);
    } else if (moved) {
      const down = /down|falls|drops/.test(moved[1] ?? '');
      out.push((down ? -1 : 1) * Number(moved[2]) / 100);
    } else {
      throw new Error(`“${part}” is no move: write one for each next candle, such as -8%, 0, +1.5% or falls 8%, then flat for 3d.`);
    }
  }
  if (out.length > maxMoves) throw new Error(`${out.length} moves: give at most ${maxMoves}.`);
  const beyond = out.find((m) => m <= -1 || m > 5);
  if (beyond !== undefined) throw new Error(`A move of ${100 * beyond}% leaves no close: give more than −100% and at most +500%.`);
  return out;
}

export const formatMoves = (moves) => moves.map((m) => (m === 0 ? '0' : `${m > 0 ? '+' : ''}${+(100 * m).toFixed(4)}%`)).join(', ');

// logReturns are those that /v1/scenario takes.
export const logReturns = (moves) => moves.map((m) => Math.log1p(m));
