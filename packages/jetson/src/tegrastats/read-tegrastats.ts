/** The output of a running tegrastats as a stream of samples. */
import { JetsonError } from '../jetson-error.js';
import { parseTegrastats, type TegrastatsSample } from './parse-tegrastats.js';

/** No line of tegrastats is longer. */
const maxLineLength = 65_536;

/**
 * Reads samples from the output of tegrastats, in pieces of any size, skipping lines without a single known field.
 *
 * @throws JetsonError if the stream ends without a sample, or a line is too long.
 */
export async function* readTegrastats(chunks: AsyncIterable<string>): AsyncGenerator<TegrastatsSample> {
  let hasSample = false;
  let lastUnread = '';
  for await (const line of linesOf(chunks)) {
    const sample = parseTegrastats(line);
    if (isEmpty(sample)) {
      if (line.trim() !== '') lastUnread = line.trim();
      continue;
    }
    hasSample = true;
    yield sample;
  }
  if (hasSample) return;
  throw unreadable(
    lastUnread === ''
      ? 'the stream ended before the first line; is this a Jetson, and does `tegrastats --interval 1000` print anything?'
      : `no line of the stream is from tegrastats; the last was "${lastUnread.slice(0, 120)}"`,
  );
}

const unreadable = (what: string) => new JetsonError('JETSON_TEGRASTATS_UNREADABLE', 'readTegrastats', what);

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
    if (rest.length > maxLineLength)
      throw unreadable(
        `a line has more than ${maxLineLength} characters; no line of tegrastats is that long`,
      );
  }
  if (rest !== '') yield rest;
}
