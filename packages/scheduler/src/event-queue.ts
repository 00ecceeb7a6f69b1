/** A binary heap of events, earliest first; events of equal time leave in the order in which they came. */
export interface EventQueue {
  readonly size: number;
  push(time: number, payload: number): void;
  /** Time of the next event; the queue is not empty. */
  nextTime(): number;
  /** Takes the next event's payload out; the queue is not empty. */
  pop(): number;
}

export function createEventQueue(): EventQueue {
  const times: number[] = [];
  const ranks: number[] = [];
  const payloads: number[] = [];
  let size = 0;
  let counter = 0;
  const before = (a: number, b: number) =>
    times[a]! < times[b]! || (!(times[b]! < times[a]!) && ranks[a]! < ranks[b]!);
  const swap = (a: number, b: number) => {
    [times[a], times[b]] = [times[b]!, times[a]!];
    [ranks[a], ranks[b]] = [ranks[b]!, ranks[a]!];
    [payloads[a], payloads[b]] = [payloads[b]!, payloads[a]!];
  };
  return {
    get size() {
      return size;
    },
    push(time, payload) {
      let at = size++;
      times[at] = time;
      ranks[at] = counter++;
      payloads[at] = payload;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(at, parent)) break;
        swap(at, parent);
        at = parent;
      }
    },
    nextTime: () => times[0]!,
    pop() {
      const payload = payloads[0]!;
      size -= 1;
      swap(0, size);
      let at = 0;
      for (;;) {
        let least = at;
        const left = 2 * at + 1;
        if (left < size && before(left, least)) least = left;
        if (left + 1 < size && before(left + 1, least)) least = left + 1;
        if (least === at) return payload;
        swap(at, least);
        at = least;
      }
    },
  };
}
