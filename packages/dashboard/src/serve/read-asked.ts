/** A question as the page sends it: bounded and checked. */
import type { IncomingMessage } from 'node:http';

import * as z from 'zod';

/** A question from the page. */
export interface Asked {
  readonly task: string;
  readonly text?: string;
  /** The bytes of a picture file. */
  readonly image?: Uint8Array;
}

const schema = z.strictObject({
  task: z.string().max(200),
  text: z.string().max(100_000).exactOptional(),
  image: z
    .string()
    .regex(/^data:image\/[a-z+.-]+;base64,/, 'is not a picture')
    .exactOptional(),
});

const mostBytes = 24 * 2 ** 20;

/** @throws Error that says what is wrong. */
export async function readAsked(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) throw new Error(`the question is larger than ${mostBytes / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
  const { data, error } = schema.safeParse(parsed(Buffer.concat(chunks).toString('utf8')));
  if (error)
    throw new Error(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  const { image, ...rest } = data;
  return image === undefined
    ? rest
    : { ...rest, image: Buffer.from(image.slice(image.indexOf(',') + 1), 'base64') };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the question is not JSON');
  }
}
