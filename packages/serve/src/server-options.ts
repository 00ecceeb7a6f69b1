/** What a server allows, and how it is told apart from others. */
import { ServeError } from './serve-error.js';

export interface ServerLimits {
  /** The most bytes of a request's body. @default 16 MiB */
  readonly maximumBodyBytes: number;
  /** The most pixels of a picture. @default 16 million */
  readonly maximumPixels: number;
  /** The most requests that are under way; one more is refused with 429. @default 128 */
  readonly maximumRequests: number;
  /** The longest that a request takes, from its first byte; then it is refused with 503. @default 120 */
  readonly maximumSeconds: number;
  /** The most tokens of an answer that a request may ask for. @default 1024 */
  readonly maximumTokens: number;
  /** The most prompts of a pass. @default 16 */
  readonly batchSize: number;
  /** How long `close` waits for the answers that are under way. @default 30 */
  readonly closeSeconds: number;
}

export interface ServerOptions extends Partial<ServerLimits> {
  /** The keys of which a request must have one; without any, only loopback addresses can be listened at. */
  readonly keys?: readonly string[];
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly now: () => Date;
  /** Told of every error that is not the caller's. */
  readonly onDefect?: (error: unknown) => void;
}

const defaults: ServerLimits = {
  maximumBodyBytes: 2 ** 24,
  maximumPixels: 16e6,
  maximumRequests: 128,
  maximumSeconds: 120,
  maximumTokens: 1024,
  batchSize: 16,
  closeSeconds: 30,
};

/** The shortest key: 16 characters of a random base64 text are 96 bits. */
const shortestKey = 16;

/** @throws ServeError (`SERVE_INPUT_INVALID`) listing every limit that is no positive number, and keys that could be guessed. */
export function limitsOf({ keys = [], ...options }: ServerOptions): ServerLimits {
  const problems: string[] = [];
  const limit = (name: keyof ServerLimits) => {
    const value = options[name] ?? defaults[name];
    const isWhole = name !== 'maximumSeconds' && name !== 'closeSeconds';
    if (!(value > 0 && Number.isFinite(value)) || (isWhole && !Number.isInteger(value)))
      problems.push(`${name} must be a ${isWhole ? 'whole ' : ''}number above 0, got ${value}`);
    return value;
  };
  const limits = Object.fromEntries(
    (Object.keys(defaults) as (keyof ServerLimits)[]).map((name) => [name, limit(name)]),
  ) as unknown as ServerLimits;
  for (const [i, key] of keys.entries())
    if (key.length < shortestKey || !/^[\x21-\x7e]+$/.test(key))
      problems.push(
        `key ${i + 1} must have at least ${shortestKey} visible ASCII characters; \`openssl rand -base64 24\` prints one`,
      );
  if (problems.length > 0) throw new ServeError('SERVE_INPUT_INVALID', 'createServer', problems.join('; '));
  return limits;
}
