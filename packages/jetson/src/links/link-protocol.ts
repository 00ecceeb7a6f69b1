/**
 * The protocol between the two ends of a link measurement. The other end is not trusted: lines are short, numbers and waits are bounded.
 *
 * A connection measures one thing. The client opens it with the line `contextlora-link 1 {"measure": …, "seconds": …}`; the server replies
 * with the line `contextlora-link 1 {"id": …}` or `… {"error": …}`. What follows depends on the measurement.
 */

export const linkProtocolVersion = 1;
export const defaultLinkPort = 47_717;

/** Longest single measurement. */
export const maxSeconds = 60;

/** Bytes of a datagram: below every usual packet limit. */
export const datagramBytes = 1000;
export const tokenBytes = 16;
/** Of one measurement; datagrams are numbered from 0. */
export const maxDatagrams = 20_000;

const magic = 'contextlora-link';

/** What a connection measures, from the client's side: time of an echo, bytes from or to the server, datagrams lost. */
const measurements = ['latency', 'download', 'upload', 'loss'] as const;

export interface LinkRequest {
  readonly measure: (typeof measurements)[number];
  readonly seconds: number;
  /** Limits the rate of a download. */
  readonly bytesPerSecond?: number;
}

export interface LinkAnswer {
  readonly id: string;
  /** Where datagrams go, and the hexadecimal digits of their first bytes. */
  readonly udpPort?: number;
  readonly token?: string;
}

export const isDeviceName = (value: unknown): value is string =>
  typeof value === 'string' && /^[\w.-]{1,64}$/.test(value);

/** Formats the opening line of either side. */
export const openingLine = (value: object): string =>
  `${magic} ${linkProtocolVersion} ${JSON.stringify(value)}\n`;

/** Parses an opening line: its value, or the version if that differs, or undefined if the line is of another protocol. */
export function parseOpening(
  line: string,
): { readonly value: Readonly<Record<string, unknown>> } | { readonly version: number } | undefined {
  const [, version, text] = /^contextlora-link (\d{1,9}) (.*)$/.exec(line) ?? [];
  if (version === undefined || text === undefined) return undefined;
  if (Number(version) !== linkProtocolVersion) return { version: Number(version) };
  const value = parseObject(text);
  return value && { value };
}

/** Parses a JSON object; undefined if the text is anything else. */
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

/** Checks a request; undefined if it cannot be served. */
export function parseRequest({
  measure,
  seconds,
  bytesPerSecond,
}: Readonly<Record<string, unknown>>): LinkRequest | undefined {
  const known = measurements.find((measurement) => measurement === measure);
  const isPositive = (value: unknown): value is number => typeof value === 'number' && value > 0;
  if (known === undefined || !isPositive(seconds) || seconds > maxSeconds) return undefined;
  if (bytesPerSecond === undefined) return { measure: known, seconds };
  return isPositive(bytesPerSecond) ? { measure: known, seconds, bytesPerSecond } : undefined;
}

/** Maps `::ffff:10.0.0.1` to `10.0.0.1`. */
export const plainAddress = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/i, '');
