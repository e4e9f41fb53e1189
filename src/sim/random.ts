/** Chance, from a seed: a stream of its own for each concern, so that a new draw in one leaves the others as they were. */

/** Draws from [0, 1). */
export type Random = () => number;

/** Splitmix32: spreads a seed, or the hash of a name, over all bits. */
function splitmix(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** FNV-1a of a text, going on from `hash`. */
export function hashText(text: string, hash = 0x811c9dc5): number {
  let mixed = hash;
  for (let index = 0; index < text.length; index += 1) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  return mixed >>> 0;
}

/** The stream of this name under this seed (sfc32). */
export function randomStream(seed: number, name: string): Random {
  const spread = splitmix((seed ^ hashText(name)) >>> 0);
  let a = spread() ^ Math.floor(seed / 2 ** 32);
  let b = spread();
  let c = spread();
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

/** Whether something of this probability happens. */
export function happens(random: Random, probability: number): boolean {
  return probability > 0 && random() < probability;
}

/** Between `min` and `max`, evenly. */
export function between(random: Random, min: number, max: number): number {
  return min + random() * (max - min);
}

/** Between `min` and `max`, evenly over the orders of magnitude: mostly small, at times large. */
export function spreadOver(random: Random, min: number, max: number): number {
  return min * Math.exp(random() * Math.log(max / min));
}

/** One of them. There must be one. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

/** One of them, by weight; undefined when no weight is greater than 0. */
export function pickWeighted<Item extends { readonly weight: number }>(
  random: Random,
  items: readonly Item[],
): Item | undefined {
  let left = random() * items.reduce((sum, item) => sum + item.weight, 0);
  for (const item of items) {
    left -= item.weight;
    if (left < 0 && item.weight > 0) return item;
  }
  return undefined;
}
