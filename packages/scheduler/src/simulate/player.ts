/**
 * Plays a pipeline on a virtual clock: devices that do one thing at a time, messages between them, and exchanges in groups.
 *
 * What a device does is the caller's business. `act` is called for every free device that was woken; it reads and sends messages and
 * occupies the device for a while. Simulation and the search for deadlocks let devices follow their programs, list scheduling lets them
 * choose.
 */
import type { CollectiveCost } from '../cost/collective-cost.js';
import type { CostModel } from '../cost/cost-model.js';
import { createEventQueue } from './event-queue.js';
import { createNetwork, type Message, type Transfer } from './network.js';

/** A message under the key by which its receiver asks for it; messages of several senders may share one. */
export interface KeyedMessage extends Message {
  readonly key: number;
}

interface PlayerOptions<M extends KeyedMessage> {
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. */
  readonly window: number;
  /** Whether a device acts only when everything that happens at the same time is known, as one that chooses must. */
  readonly settles: boolean;
  /** Changes a duration, for jitter. */
  readonly vary?: (seconds: number) => number;
  readonly act: (device: number, now: number) => void;
  /** A message can be read; the caller wakes whom that concerns. */
  readonly onArrival: (message: M) => void;
  /** The last byte has left; latency is still to come. */
  readonly onSent?: (transfer: Transfer<M>, now: number) => void;
  readonly onExchanged: (exchange: number, now: number) => void;
  /** A moment that `remind` asked for. */
  readonly onReminder?: (device: number, now: number) => void;
}

interface Player<M extends KeyedMessage> {
  /** Hands a message to the network; false when there is no room for another activation. */
  send(message: M, now: number): boolean;
  /** How many messages of a key lie unread. */
  unread(key: number): number;
  /** Reads all messages of a key, which makes room for others; false when there are none. */
  read(key: number, now: number): boolean;
  /** Keeps a device busy; when the time has come it is woken. */
  occupy(device: number, until: number): void;
  remind(device: number, at: number): void;
  /** Begins an exchange at some time, after the messages that are sent at that time. */
  exchange(exchange: number, cost: CollectiveCost, at: number): void;
  wake(device: number): void;
  /** Wakes these devices at time 0 and plays until nothing happens any more. */
  play(devices: Iterable<number>): void;
}

const kinds = ['linkDone', 'airDone', 'arrives', 'free', 'exchange', 'exchanged', 'reminder'] as const;

/** Events closer than this, relative to the time, happen at the same time. */
const simultaneous = 1e-12;

export function createPlayer<M extends KeyedMessage>(
  costs: Pick<CostModel, 'devices' | 'routes'>,
  { window, settles, vary, act, onArrival, onSent, onExchanged, onReminder }: PlayerOptions<M>,
): Player<M> {
  const queue = createEventQueue();
  const post = (time: number, kind: (typeof kinds)[number], index: number) => {
    queue.push(time, index * kinds.length + kinds.indexOf(kind));
  };
  /** Exchanges that have not ended, and how many of their occupations have not. */
  const exchanges = new Map<number, { readonly cost: CollectiveCost; left: number }>();
  const busy = new Uint8Array(costs.devices.length).fill(1);
  const woken = new Set<number>();
  /** The channels of the unread messages of each key. */
  const inbox = new Map<number, number[]>();
  const network = createNetwork<M>(costs, {
    window,
    post,
    ...(vary ? { vary } : {}),
    ...(onSent ? { onSent } : {}),
    onArrival({ message, channel }) {
      const channels = inbox.get(message.key);
      if (channels) channels.push(channel);
      else inbox.set(message.key, [channel]);
      onArrival(message);
    },
    onVacated(index, now) {
      const exchange = exchanges.get(index)!;
      exchange.left -= 1;
      if (exchange.left === 0) post(now + exchange.cost.latencySeconds, 'exchanged', index);
    },
  });

  const handle = (payload: number, now: number): void => {
    const kind = kinds[payload % kinds.length]!;
    const index = Math.floor(payload / kinds.length);
    switch (kind) {
      case 'free':
        busy[index] = 0;
        woken.add(index);
        break;
      case 'exchange': {
        const { seconds, latencySeconds, occupations } = exchanges.get(index)!.cost;
        for (const occupation of occupations) network.occupy(occupation, index, now);
        if (occupations.length === 0) post(now + seconds + latencySeconds, 'exchanged', index);
        break;
      }
      case 'exchanged':
        exchanges.delete(index);
        onExchanged(index, now);
        break;
      case 'reminder':
        onReminder?.(index, now);
        break;
      default:
        network.handle(kind, index, now);
    }
  };

  return {
    send: (message, now) => network.send(message, now) !== undefined,
    unread: (key) => inbox.get(key)?.length ?? 0,
    read(key, now) {
      const channels = inbox.get(key);
      if (!channels) return false;
      inbox.delete(key);
      for (const channel of channels) network.read(channel, now);
      return true;
    },
    occupy(device, until) {
      busy[device] = 1;
      post(until, 'free', device);
    },
    remind(device, at) {
      post(at, 'reminder', device);
    },
    exchange(index, cost, at) {
      exchanges.set(index, { cost, left: cost.occupations.length });
      queue.push(at, index * kinds.length + kinds.indexOf('exchange'), true);
    },
    wake(device) {
      woken.add(device);
    },
    play(devices) {
      for (const device of devices) post(0, 'free', device);
      while (queue.size > 0) {
        const now = queue.nextTime();
        do handle(queue.pop(), now);
        while (settles && queue.size > 0 && queue.nextTime() <= now * (1 + simultaneous));
        for (const device of woken) if (busy[device] === 0) act(device, now);
        woken.clear();
      }
    },
  };
}
