// NumPy's default generator, PCG64 (O'Neill, 2014) seeded by a SeedSequence: what Gymnasium draws an episode's start with.
//
// Only the few resets of a data collection use it, so it may take its time with BigInt.

const MASK_64 = 2n ** 64n - 1n;
const MASK_128 = 2n ** 128n - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const POOL = 4; // words of 32 bits

/** The hash of NumPy's SeedSequence, whose constant changes with every word. */
function hasher(constant, multiplier) {
  return (value) => {
    value = Math.imul(value ^ constant, (constant = Math.imul(constant, multiplier)));
    return (value ^ (value >>> 16)) >>> 0;
  };
}

function mixed(x, y) {
  const result = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
  return (result ^ (result >>> 16)) >>> 0;
}

/** Eight words of 32 bits from a seed below 2 ** 53, as numpy.random.SeedSequence(seed).generate_state(8). */
function seedWords(seed) {
  const entropy = [seed >>> 0, Math.floor(seed / 2 ** 32)], hash = hasher(0x43b0d7e5, 0x931e8875);
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mixed(pool[to], hash(pool[from]));
  }
  const spread = hasher(0x8b51f9dd, 0x58f38ded);
  return Array.from({ length: 8 }, (_, i) => spread(pool[i % POOL]));
}

/** numpy.random.default_rng(seed).random, as a function without arguments: numbers in [0, 1), one after another. */
export function pcg64(seed) {
  const words = seedWords(seed).map(BigInt);
  const [high, low, incrementHigh, incrementLow] = [0, 2, 4, 6].map((i) => words[i] | (words[i + 1] << 32n));
  const increment = (((incrementHigh << 64n) | incrementLow) << 1n | 1n) & MASK_128;
  const next = (state) => (state * MULTIPLIER + increment) & MASK_128;
  let state = next((increment + ((high << 64n) | low)) & MASK_128);
  return () => {
    state = next(state);
    const word = (state >> 64n) ^ (state & MASK_64), turn = state >> 122n;
    const bits = ((word >> turn) | (word << (64n - turn))) & MASK_64;
    return Number(bits >> 11n) * 2 ** -53;
  };
}
