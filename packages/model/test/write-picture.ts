/** Pictures made in tests. */
import { crc32, deflateSync } from 'node:zlib';

const chunk = (name: string, data: Uint8Array) => {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
};

export interface PngParts {
  readonly width: number;
  readonly height: number;
  /** 0 grey, 2 colour. */
  readonly colour?: 0 | 2;
  /** The filtered rows; zeros if absent. */
  readonly rows?: Uint8Array;
  /** Chunks before the pixels. */
  readonly before?: readonly (readonly [name: string, data: Uint8Array])[];
}

/** An 8-bit PNG. */
export function pngOf({ width, height, colour = 2, rows, before = [] }: PngParts): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colour], 8);
  const pixels = rows ?? new Uint8Array((width * (colour === 2 ? 3 : 1) + 1) * height);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...before.map(([name, data]) => chunk(name, data)),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', new Uint8Array()),
  ]);
}
