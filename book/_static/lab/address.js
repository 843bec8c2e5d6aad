/** A laboratory's settings as the part of an address after #: algorithm=HANQ&lr=-1.5&seed=3, or an algorithm part by part. */

import { CHOICES, EXPONENTS, bestRate, nameOf, named, sameParts } from "./algorithms.js";

const PREFIXES = ["", "b-"]; // of each agent's words
const OF_AGENTS = ["algorithm", "lr", ...Object.keys(CHOICES)];
const KNOWN = new Set([...PREFIXES.flatMap((prefix) => OF_AGENTS.map((word) => prefix + word)), "seed", "steps"]);
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

/** Whether the part of an address after # is one of settings, and not a place on the page. */
export function isAddress(words) {
  return [...words.keys()].some((word) => KNOWN.has(word));
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
  if (!OF_AGENTS.some((name) => words.has(prefix + name))) return null;
  const name = words.get(`${prefix}algorithm`);
  const parts = { ...(Object.hasOwn(named(), name) ? named()[name] : start.parts) };
  for (const part of Object.keys(CHOICES)) {
    const found = chosen(part, words.get(prefix + part));
    if (found) parts[part] = found[0];
  }
  const exponent = Number(words.get(`${prefix}lr`) ?? NaN);
  const usual = sameParts(parts, start.parts) ? start.exponent : (bestRate(parts) ?? start.exponent);
  return { parts, exponent: EXPONENTS.includes(exponent) ? exponent : usual };
}

/** The choice of a part that a word of an address names, [value, label], or undefined. */
function chosen(part, word) {
  return CHOICES[part].find(([value]) => String(value ?? "none") === word);
}

/** What an address asks for and the settings that came of it do not have, in words; "" where it is all there. */
export function refused(words, settings) {
  if (!isAddress(words)) return "";
  const other = [...words].filter(([word, value]) => {
    const part = word.replace(/^b-/, "");
    if (settings.has(word)) return settings.get(word) !== value;
    return !KNOWN.has(word) || (part in CHOICES && !chosen(part, value));
  });
  return other.map(([word, value]) => `${word}=${value}` + (settings.has(word) ? ` (now ${settings.get(word)})` : "")).join(", ");
}
