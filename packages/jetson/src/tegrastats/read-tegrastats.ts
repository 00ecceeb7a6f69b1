/** A running tegrastats as a stream of samples. */
import { parseTegrastats, type TegrastatsSample } from './parse-tegrastats.js';

/** Longer lines are no tegrastats. */
const lineLimit = 65_536;

/**
 * Reads samples from what tegrastats writes, in pieces of any size.
 *
 * Blank lines are passed over, and so are lines without a single known field.
 *
 * @throws if the stream ends without one sample, or a line does not end.
 */
export async function* readTegrastats(chunks: AsyncIterable<string>): AsyncGenerator<TegrastatsSample> {
  let samples = 0;
  let unread = '';
  for await (const line of linesOf(chunks)) {
    const sample = parseTegrastats(line);
    if (isEmpty(sample)) {
      if (line.trim() !== '') unread = line.trim();
      continue;
    }
    samples += 1;
    yield sample;
  }
  if (samples > 0) return;
  throw new Error(
    unread === ''
      ? 'jetson/readTegrastats: the stream ended before the first line; is this a Jetson, and does `tegrastats --interval 1000` print anything?'
      : `jetson/readTegrastats: no line of the stream is from tegrastats; the last was "${unread.slice(0, 120)}"`,
  );
}

const isEmpty = ({ ram, gpu, cores, rails, temperatures }: TegrastatsSample): boolean =>
  ram === undefined &&
  gpu === undefined &&
  cores.length === 0 &&
  rails.length === 0 &&
  temperatures.length === 0;

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > lineLimit)
      throw new Error(
        `jetson/readTegrastats: a line of more than ${lineLimit} characters; this is not what tegrastats prints`,
      );
  }
  if (rest !== '') yield rest;
}
