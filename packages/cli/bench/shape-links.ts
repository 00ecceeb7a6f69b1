/**
 * A process that emulates links: Ethernet frames come in datagrams and leave later, or not at all. Each direction has a delay, a loss
 * rate, a queue, and a medium whose rate it shares with all directions of the same name.
 * Usage: node … shape-links.ts JSON, with a list of {@link ShapedDirection}
 */
import { createSocket } from 'node:dgram';

export interface ShapedDirection {
  /** Frames arrive on this port of 127.0.0.1 … */
  readonly listenPort: number;
  /** … and leave from the port that the other direction listens on, to this one. */
  readonly leavePort: number;
  readonly targetPort: number;
  readonly medium: string;
  readonly megabitsPerSecond: number;
  readonly delaySeconds: number;
  readonly loss: number;
}

const queueBytes = 262_144;
const clock = () => performance.now() / 1000;
const directions = JSON.parse(process.argv[2] ?? '[]') as readonly ShapedDirection[];

let state = 1;
const random = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};

const sockets = new Map(
  directions.map(({ listenPort }) => {
    const socket = createSocket('udp4');
    socket.bind(listenPort, '127.0.0.1', () => {
      socket.setRecvBufferSize(4 << 20);
      socket.setSendBufferSize(4 << 20);
    });
    return [listenPort, socket] as const;
  }),
);
/** When each medium will have carried everything accepted so far. */
const freeAt = new Map<string, number>();

for (const one of directions) {
  const { listenPort, leavePort, targetPort, medium, megabitsPerSecond, delaySeconds, loss } = one;
  const bytesPerSecond = (megabitsPerSecond * 1e6) / 8;
  let queue: { at: number; frame: Buffer }[] = [];
  let isWaiting = false;
  const release = () => {
    isWaiting = false;
    const due = queue.findIndex(({ at }) => at > clock() + 5e-5);
    const leaving = due < 0 ? queue : queue.slice(0, due);
    queue = due < 0 ? [] : queue.slice(due);
    for (const { frame } of leaving) sockets.get(leavePort)!.send(frame, targetPort, '127.0.0.1');
    const [next] = queue;
    if (!next) return;
    isWaiting = true;
    const wait = 1000 * (next.at - clock());
    // Timers have a resolution of a millisecond.
    if (wait < 1.2) setImmediate(release);
    else setTimeout(release, wait - 1);
  };
  sockets.get(listenPort)!.on('message', (frame) => {
    const now = clock();
    const start = Math.max(now, freeAt.get(medium) ?? 0);
    if ((start - now) * bytesPerSecond > queueBytes) return;
    const end = start + frame.length / bytesPerSecond;
    // A lost frame has used airtime too.
    freeAt.set(medium, end);
    if (random() < loss) return;
    queue.push({ at: end + delaySeconds, frame });
    if (!isWaiting) release();
  });
}
process.stdout.write('shaping\n');
