/** What is to happen, by time; at one time in the order in which it was asked for. A binary heap. */

interface Item {
  readonly at: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** The one queue of a world. */
export interface Queue {
  readonly heap: Item[];
  sequence: number;
}

/** Nothing is to happen. */
export function createQueue(): Queue {
  return { heap: [], sequence: 0 };
}

function isBefore(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

/** `run` is to happen at `at`. */
export function push(queue: Queue, at: number, run: () => void): void {
  const { heap } = queue;
  const item: Item = { at, sequence: queue.sequence++, run };
  let index = heap.length;
  heap.push(item);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || isBefore(above, item)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = item;
}

/** When the next thing happens; Infinity when nothing does. */
export function nextAt(queue: Queue): number {
  return queue.heap[0]?.at ?? Infinity;
}

/** Takes out what happens next. */
export function pop(queue: Queue): Item | undefined {
  const { heap } = queue;
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    const a = heap[left];
    if (a === undefined) break;
    const b = heap[left + 1];
    const least = b !== undefined && isBefore(b, a) ? b : a;
    if (isBefore(last, least)) break;
    heap[index] = least;
    index = least === a ? left : left + 1;
  }
  heap[index] = last;
  return first;
}
