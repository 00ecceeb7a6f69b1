/** A binary heap of events, earliest first; events of equal time leave in the order in which they came, `last` ones after the others. */
interface EventQueue {
  readonly size: number;
  push(time: number, payload: number, last?: boolean): void;
  /** Time of the next event; the queue is not empty. */
  nextTime(): number;
  /** Takes the next event's payload out; the queue is not empty. */
  pop(): number;
}

export function createEventQueue(): EventQueue {
  // Three arrays instead of objects: a simulation makes millions of events.
  const times: number[] = [];
  const ranks: number[] = [];
  const payloads: number[] = [];
  let size = 0;
  let counter = 0;
  const put = (at: number, time: number, rank: number, payload: number) => {
    times[at] = time;
    ranks[at] = rank;
    payloads[at] = payload;
  };
  return {
    get size() {
      return size;
    },
    push(time, payload, last = false) {
      const rank = counter++ + (last ? 2 ** 50 : 0);
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (times[parent]! < time || (times[parent]! <= time && ranks[parent]! < rank)) break;
        put(at, times[parent]!, ranks[parent]!, payloads[parent]!);
        at = parent;
      }
      put(at, time, rank, payload);
    },
    nextTime: () => times[0]!,
    pop() {
      const first = payloads[0]!;
      size -= 1;
      const time = times[size]!;
      const rank = ranks[size]!;
      const payload = payloads[size]!;
      let at = 0;
      for (let child = 1; child < size; child = 2 * at + 1) {
        const other = child + 1;
        if (
          other < size &&
          (times[other]! < times[child]! || (times[other]! <= times[child]! && ranks[other]! < ranks[child]!))
        )
          child = other;
        if (times[child]! > time || (times[child]! >= time && ranks[child]! > rank)) break;
        put(at, times[child]!, ranks[child]!, payloads[child]!);
        at = child;
      }
      put(at, time, rank, payload);
      return first;
    },
  };
}
