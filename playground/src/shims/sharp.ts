/** The two uses of sharp that the page has: pixels to PNG, and PNG to pixels. */
import { Buffer } from 'buffer';
import { decode, encode } from 'fast-png';

interface Raw {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export default function sharp(input: Uint8Array, { raw }: { readonly raw?: Raw } = {}) {
  const pipeline = {
    png: () => ({
      toBuffer: () =>
        Promise.resolve(
          Buffer.from(encode({ ...(raw ?? { width: 0, height: 0, channels: 3 }), data: input, depth: 8 })),
        ),
    }),
    removeAlpha: () => pipeline,
    toColourspace: () => pipeline,
    raw: () => pipeline,
    toBuffer() {
      const { width, height, channels, data } = decode(input);
      const rgb = new Uint8Array(width * height * 3);
      for (let pixel = 0; pixel < width * height; pixel++)
        for (let channel = 0; channel < 3; channel++)
          rgb[3 * pixel + channel] = Number(data[pixel * channels + (channels < 3 ? 0 : channel)]);
      return Promise.resolve({ data: Buffer.from(rgb), info: { width, height, channels: 3 } });
    },
  };
  return pipeline;
}
