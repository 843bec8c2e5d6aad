// Randomness as a function of (seed, stream, step, index), word for word that of hanq/data/foundations/generator.py.
//
// A 64-bit word is kept as two halves of 32 bits, high and low, for a JavaScript number holds 53 bits only.
// Source: SplitMix64 (Steele, Lea and Flood, 2014).

export const INITIAL_WEIGHTS = 0;
export const MINIBATCH = 1;
export const EVALUATION = 2;
export const BEHAVIOUR = 3;

const GOLDEN = [0x9e3779b9, 0x7f4a7c15];
const MIX_1 = [0xbf58476d, 0x1ce4e5b9];
const MIX_2 = [0x94d049bb, 0x133111eb];
const HALF = 2 ** 32;
const MOST = 2 ** 21; // integers below which the product with 32 random bits is exact

/** The upper 32 bits of the product of two unsigned 32-bit integers. */
function upperProduct(a, b) {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return aHigh * bHigh + (middle >>> 16) + ((aLow * bHigh + (middle & 0xffff)) >>> 16);
}

/** word *= factor, modulo 2 ** 64. */
function multiply(word, factor) {
  const high = word[0], low = word[1];
  word[0] = upperProduct(low, factor[1]) + Math.imul(high, factor[1]) + Math.imul(low, factor[0]);
  word[1] = Math.imul(low, factor[1]);
}

/** word ^= word >> bits, for 0 < bits < 32. */
function xorShifted(word, bits) {
  word[1] ^= (word[1] >>> bits) | (word[0] << (32 - bits));
  word[0] ^= word[0] >>> bits;
}

/** Replace the word, a state of SplitMix64, by output number `index` (from 0, below 2 ** 53) from that state. */
function splitmix64(word, index) {
  const high = word[0], low = word[1];
  word[0] = (index + 1) / HALF;
  word[1] = index + 1;
  multiply(word, GOLDEN);
  const sum = word[1] + low;
  word[1] = sum;
  word[0] += high + (sum >= HALF ? 1 : 0);
  xorShifted(word, 30);
  multiply(word, MIX_1);
  xorShifted(word, 27);
  multiply(word, MIX_2);
  xorShifted(word, 31);
}

/** The state, two halves, from which one (seed, stream, step) counts its indices. */
function streamKey(seed, stream, step) {
  const word = new Uint32Array([seed / HALF, seed]);
  splitmix64(word, stream);
  splitmix64(word, step);
  return word;
}

/** 64 random bits, a function of four non-negative integers below 2 ** 53: Uint32Array [high, low]. */
export function randomBits(seed, stream, step, index) {
  const word = streamKey(seed, stream, step);
  splitmix64(word, index);
  return word;
}

/** 64 random bits -> a number in [0, 1). */
function toUniform(word) {
  return (word[0] * MOST + (word[1] >>> 11)) * 2 ** -53;
}

/** A number in [0, 1), a function of the four integers. */
export function uniform(seed, stream, step, index) {
  return toUniform(randomBits(seed, stream, step, index));
}

/** Integers in [0, n) for the indices 0, 1, ... of one (seed, stream, step), into `result`; n at most 2 ** 21. */
export function fillIntegers(result, n, seed, stream, step) {
  const key = streamKey(seed, stream, step), word = new Uint32Array(2);
  for (let index = 0; index < result.length; index++) {
    word[0] = key[0];
    word[1] = key[1];
    splitmix64(word, index);
    result[index] = Math.floor((word[0] * n) / HALF);
  }
}

/** Numbers in [0, 1) for the indices 0, 1, ... of one (seed, stream, step), into `result`. */
export function fillUniform(result, seed, stream, step) {
  for (let index = 0; index < result.length; index++) result[index] = uniform(seed, stream, step, index);
}
