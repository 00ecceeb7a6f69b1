/**
 * What both ends of a link measurement say to each other. The other end is not trusted: lines are short, numbers bounded, waits too.
 *
 * A connection measures one thing. The client opens it with one line, `contextlora-link 1 {"measure": …, "seconds": …}`; the server answers
 * with one line, `contextlora-link 1 {"id": …}` or `{"error": …}`. What follows depends on what is measured.
 */
import type { Socket } from 'node:net';

export const linkProtocolVersion = 1;
export const defaultLinkPort = 47_717;

/** Longest of one measurement. */
export const longestSeconds = 60;

/** Bytes of a datagram: below every usual limit of a packet. */
export const datagramBytes = 1000;
export const tokenBytes = 16;
/** Of one measurement; they are numbered from 0. */
export const mostDatagrams = 20_000;

const magic = 'contextlora-link';
const lineLimit = 1024;

/** What a connection measures, seen from the client: how long an echo takes, what arrives from the server or there, datagrams that get lost. */
export type LinkMeasure = 'latency' | 'download' | 'upload' | 'loss';

export interface LinkRequest {
  readonly measure: LinkMeasure;
  readonly seconds: number;
  /** Of a download that is to be slower than it could. */
  readonly bytesPerSecond?: number;
}

export interface LinkAnswer {
  readonly id: string;
  /** Where datagrams go, and what they must begin with, in hexadecimal digits. */
  readonly udpPort?: number;
  readonly token?: string;
}

const measures: readonly LinkMeasure[] = ['latency', 'download', 'upload', 'loss'];

export const isDeviceName = (value: unknown): value is string =>
  typeof value === 'string' && /^[\w.-]{1,64}$/.test(value);

/** The opening line of either side. */
export const openingLine = (value: object): string =>
  `${magic} ${linkProtocolVersion} ${JSON.stringify(value)}\n`;

/** What an opening line says, or the version that the other end speaks, or nothing where it is of another protocol. */
export function parseOpening(
  line: string,
): { readonly value: Readonly<Record<string, unknown>> } | { readonly version: number } | undefined {
  const [, version, text] = /^contextlora-link (\d{1,9}) (.*)$/.exec(line) ?? [];
  if (version === undefined || text === undefined) return undefined;
  if (Number(version) !== linkProtocolVersion) return { version: Number(version) };
  const value = parseObject(text);
  return value && { value };
}

/** The object that a line of JSON holds. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A request that may be served. */
export function parseRequest({
  measure,
  seconds,
  bytesPerSecond,
}: Readonly<Record<string, unknown>>): LinkRequest | undefined {
  const known = measures.find((one) => one === measure);
  const isAbove0 = (value: unknown): value is number => typeof value === 'number' && value > 0;
  if (known === undefined || !isAbove0(seconds) || seconds > longestSeconds) return undefined;
  if (bytesPerSecond === undefined) return { measure: known, seconds };
  return isAbove0(bytesPerSecond) ? { measure: known, seconds, bytesPerSecond } : undefined;
}

/** Why no line came. */
export type LineFailure = 'closed' | 'too long' | 'timed out';

/** Reads one line and leaves the bytes after it in the socket, which stays paused. */
export function readLine(socket: Socket, timeoutSeconds: number): Promise<string | { failure: LineFailure }> {
  return new Promise((resolve) => {
    let read = Buffer.alloc(0);
    const finish = (result: string | { failure: LineFailure }) => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('close', onClose);
      socket.off('end', onClose);
      resolve(result);
    };
    const onClose = () => {
      finish({ failure: 'closed' });
    };
    const onReadable = () => {
      for (let chunk = next(socket); chunk; chunk = next(socket)) {
        read = Buffer.concat([read, chunk]);
        const end = read.indexOf(10);
        if (end > lineLimit || (end < 0 && read.length > lineLimit)) {
          finish({ failure: 'too long' });
          return;
        }
        if (end >= 0) {
          const rest = read.subarray(end + 1);
          finish(read.toString('utf8', 0, end));
          if (rest.length > 0) socket.unshift(rest);
          return;
        }
      }
    };
    const timer = setTimeout(() => {
      finish({ failure: 'timed out' });
    }, timeoutSeconds * 1000);
    socket.on('readable', onReadable);
    socket.once('close', onClose);
    socket.once('end', onClose);
    if (socket.destroyed) onClose();
    else onReadable();
  });
}

const next = (socket: Socket): Buffer | null => socket.read() as Buffer | null;

/** `::ffff:10.0.0.1` is 10.0.0.1. */
export const plainAddress = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/i, '');
