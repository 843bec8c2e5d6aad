/** A laboratory's settings as the part of an address after #: algorithm=HANQ&lr=-1.5&seed=3, or an algorithm part by part. */

import { CHOICES, EXPONENTS, bestRate, nameOf, named, sameParts } from "./algorithms.js";

const PREFIXES = ["", "b-"]; // of each agent's words
export const SEEDS = 10_000;
export const LENGTHS = [2_000, 20_000, 200_000];

/** agents: [{parts, exponent}], one or two. Returns URLSearchParams. */
export function toAddress(agents, seed, steps) {
  const words = agents.flatMap(({ parts, exponent }, i) => {
    const name = nameOf(parts);
    const chosen = name ? { algorithm: name } : Object.fromEntries(Object.keys(CHOICES).map((part) => [part, parts[part] ?? "none"]));
    return Object.entries({ ...chosen, lr: exponent }).map(([word, value]) => [PREFIXES[i] + word, value]);
  });
  return new URLSearchParams([...words, ["seed", seed], ["steps", steps]]);
}

/** words: URLSearchParams. starts: settings that hold where the address is silent. Returns {agents, seed, steps}, null for what is not there. */
export function fromAddress(words, starts) {
  const [seed, steps] = ["seed", "steps"].map((word) => Number(words.get(word) ?? NaN));
  return {
    agents: starts.map((start, i) => readAgent(words, PREFIXES[i], start)),
    seed: Number.isInteger(seed) && seed >= 0 && seed < SEEDS ? seed : null,
    steps: LENGTHS.includes(steps) ? steps : null,
  };
}

function readAgent(words, prefix, start) {
  const names = ["algorithm", "lr", ...Object.keys(CHOICES)];
  if (!names.some((name) => words.has(prefix + name))) return null;
  const parts = { ...(named()[words.get(`${prefix}algorithm`)] ?? start.parts) };
  for (const [part, choices] of Object.entries(CHOICES)) {
    const found = choices.find(([value]) => String(value ?? "none") === words.get(prefix + part));
    if (found) parts[part] = found[0];
  }
  const exponent = Number(words.get(`${prefix}lr`) ?? NaN);
  const usual = sameParts(parts, start.parts) ? start.exponent : (bestRate(parts) ?? start.exponent);
  return { parts, exponent: EXPONENTS.includes(exponent) ? exponent : usual };
}

/** What an address asks for and the settings that came of it do not have, in words; "" where it is all there. */
export function refused(words, settings) {
  const other = [...words].filter(([word, value]) => settings.has(word) && settings.get(word) !== value);
  return other.map(([word, value]) => `${word}=${value} (now ${settings.get(word)})`).join(", ");
}
