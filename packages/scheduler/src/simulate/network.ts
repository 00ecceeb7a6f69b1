/**
 * What is on its way: channels with room for a few messages, links that carry one thing at a time in each direction, media that share air.
 *
 * A channel is one direction of one kind of message between two devices. A transfer starts when the receiver holds fewer than `window`
 * unread messages of it, and a sender may have `window` activations under way. A gradient is always accepted: its micro-batch has just
 * freed its activations, and a device that waited to send one while its neighbour waits to send an activation would wait for ever.
 */
import type { CostModel } from '../cost/cost-model.js';
import type { Occupation } from '../cost/collective-cost.js';
import { airSeconds } from '../cost/routes.js';
import { SchedulerError } from '../scheduler-error.js';
import { createSharedAir } from './shared-air.js';

export interface Message {
  readonly gradient: boolean;
  /** Device indices. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** A message on its way. */
export interface Transfer<M extends Message> {
  readonly message: M;
  readonly channel: number;
  readonly seconds: number;
  readonly latencySeconds: number;
  /** -1 for a separate link. */
  readonly medium: number;
  /** When it began to move. */
  startSeconds: number;
}

interface Channel {
  sent: number;
  delivered: number;
  started: number;
  read: number;
  readonly waiting: number[];
  head: number;
  /** Messages leave one after the other, so none overtakes another. */
  busy: boolean;
  /** -1 on a shared medium. */
  readonly link: number;
}

interface Network<M extends Message> {
  /** Accepts a message; undefined when there is no room for another activation. @throws SchedulerError when no link leads there. */
  send(message: M, now: number): Transfer<M> | undefined;
  /** Makes room for the next message of the channel. */
  read(channel: number, now: number): void;
  /** Occupies a link, once it is free, or a medium's air for something other than a message; `onVacated` says when it has ended. */
  occupy(occupation: Occupation, id: number, now: number): void;
  /** Must be called for every event the network posted. */
  handle(kind: NetworkEvent, index: number, now: number): void;
}

type NetworkEvent = 'linkDone' | 'airDone' | 'arrives';

interface NetworkOptions<M extends Message> {
  readonly window: number;
  readonly post: (time: number, kind: NetworkEvent, index: number) => void;
  /** The last byte has left; latency is still to come. */
  readonly onSent?: (transfer: Transfer<M>, now: number) => void;
  readonly onArrival: (transfer: Transfer<M>, now: number) => void;
  /** An occupation has ended. */
  readonly onVacated?: (id: number, now: number) => void;
  /** Changes a duration, for jitter. */
  readonly vary?: (seconds: number) => number;
}

export function createNetwork<M extends Message>(
  { routes, devices }: Pick<CostModel, 'routes' | 'devices'>,
  { window, post, onSent, onArrival, onVacated, vary = (seconds) => seconds }: NetworkOptions<M>,
): Network<M> {
  const air = routes.media.map(createSharedAir);
  const transfers: Transfer<M>[] = [];
  /** What is begun under the number `-1 - index`. */
  const occupations: { readonly id: number; readonly link: number; readonly seconds: number }[] = [];
  const channels: Channel[] = [];
  const channelOf = new Map<number, number>();
  const linkOf = new Map<number, number>();
  const linkBusy: boolean[] = [];
  /** Channels, and occupations under their numbers. */
  const linkQueue: number[][] = [];

  const openChannel = ({ gradient, from, to }: Message, separate: boolean): number => {
    const key = ((gradient ? 1 : 0) * devices.length + from) * devices.length + to;
    const known = channelOf.get(key);
    if (known !== undefined) return known;
    const channel: Channel = {
      sent: 0,
      delivered: 0,
      started: 0,
      read: 0,
      waiting: [],
      head: 0,
      busy: false,
      link: separate ? openLink(from, to) : -1,
    };
    channelOf.set(key, channels.length);
    return channels.push(channel) - 1;
  };
  const openLink = (from: number, to: number): number => {
    const key = from * devices.length + to;
    const known = linkOf.get(key);
    if (known !== undefined) return known;
    linkOf.set(key, linkBusy.length);
    linkQueue.push([]);
    return linkBusy.push(false) - 1;
  };
  const forecast = (medium: number) => {
    const at = air[medium]!.nextEnd();
    // A forecast holds only while nothing else begins or ends; its version shows whether it still does.
    if (at < Infinity) post(at, 'airDone', medium + air.length * (air[medium]!.version % 0x3fffffff));
  };
  const startOnLink = (link: number, seconds: number, number: number, now: number) => {
    linkBusy[link] = true;
    post(now + vary(seconds), 'linkDone', number >= 0 ? 2 * number : 2 * (-1 - number) + 1);
  };
  const startNext = (index: number, now: number) => {
    if (index < 0) {
      const { link, seconds } = occupations[-1 - index]!;
      if (linkBusy[link]!) linkQueue[link]!.push(index);
      else startOnLink(link, seconds, index, now);
      return;
    }
    const channel = channels[index]!;
    if (channel.busy || channel.head === channel.waiting.length || channel.started - channel.read >= window)
      return;
    if (channel.link >= 0 && linkBusy[channel.link]!) {
      if (!linkQueue[channel.link]!.includes(index)) linkQueue[channel.link]!.push(index);
      return;
    }
    const id = channel.waiting[channel.head++]!;
    const transfer = transfers[id]!;
    channel.started += 1;
    channel.busy = true;
    transfer.startSeconds = now;
    if (transfer.medium >= 0) {
      air[transfer.medium]!.begin(now, vary(transfer.seconds), id);
      forecast(transfer.medium);
    } else startOnLink(channel.link, transfer.seconds, id, now);
  };
  const end = (number: number, now: number) => {
    if (number >= 0) leave(number, now);
    else onVacated?.(occupations[-1 - number]!.id, now);
  };
  const leave = (id: number, now: number) => {
    const transfer = transfers[id]!;
    channels[transfer.channel]!.busy = false;
    startNext(transfer.channel, now);
    onSent?.(transfer, now);
    if (transfer.latencySeconds > 0) post(now + transfer.latencySeconds, 'arrives', id);
    else arrive(id, now);
  };
  const arrive = (id: number, now: number) => {
    const transfer = transfers[id]!;
    channels[transfer.channel]!.delivered += 1;
    onArrival(transfer, now);
  };

  return {
    send(message, now) {
      const route = routes.route(message.from, message.to);
      if (!route)
        throw new SchedulerError(
          'SCHEDULER_NAME_UNKNOWN',
          'simulate',
          `no link leads from "${devices[message.from]!.id}" to "${devices[message.to]!.id}"`,
        );
      const index = openChannel(message, route.medium < 0);
      const channel = channels[index]!;
      if (!message.gradient && channel.sent - channel.delivered >= window) return undefined;
      const transfer: Transfer<M> = {
        message,
        channel: index,
        seconds: airSeconds(route, message.bytes),
        latencySeconds: route.latencySeconds,
        medium: route.medium,
        startSeconds: now,
      };
      channel.sent += 1;
      channel.waiting.push(transfers.push(transfer) - 1);
      startNext(index, now);
      return transfer;
    },
    read(index, now) {
      channels[index]!.read += 1;
      startNext(index, now);
    },
    occupy({ from, to, medium, seconds }, id, now) {
      const number = -occupations.push({ id, link: medium < 0 ? openLink(from, to) : -1, seconds });
      if (medium < 0) startNext(number, now);
      else {
        air[medium]!.begin(now, vary(seconds), number);
        forecast(medium);
      }
    },
    handle(kind, index, now) {
      if (kind === 'arrives') arrive(index, now);
      else if (kind === 'linkDone') {
        const number = index % 2 === 0 ? index / 2 : -1 - (index - 1) / 2;
        const { link } = number < 0 ? occupations[-1 - number]! : channels[transfers[number]!.channel]!;
        linkBusy[link] = false;
        // What waited for the link goes before the channel that just used it.
        for (const waiting of linkQueue[link]!.splice(0)) startNext(waiting, now);
        end(number, now);
      } else {
        const medium = index % air.length;
        const shared = air[medium]!;
        if (Math.floor(index / air.length) !== shared.version % 0x3fffffff) return;
        const ended = shared.end(now);
        forecast(medium);
        end(ended, now);
      }
    },
  };
}
