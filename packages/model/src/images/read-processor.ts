/** Reads a model directory's image processor from the files in which transformers looks for it, in its order. */
import { join } from 'node:path';

import { type Config, partOf, readConfigNumbers, textOf } from '../spec/config-reader.js';
import { readJsonObject } from '../spec/read-json.js';
import type { VisionSpec } from '../spec/vision-spec.js';
import { parseImageProcessor } from './parse-processor.js';
import type { ImageProcessorSpec } from './processor-spec.js';

/**
 * The `image_processor` of processor_config.json, else preprocessor_config.json, else the tower's default.
 *
 * @throws ModelError listing every setting that is not supported, or that disagrees with config.json about the number of image tokens.
 */
export async function readImageProcessor(directory: string, vision: VisionSpec): Promise<ImageProcessorSpec> {
  const whole = join(directory, 'processor_config.json');
  const processor = await readJsonObject(whole, 'readModelSpec');
  if (processor) checkTokens(processor, whole, vision);
  const part = processor && partOf(processor, 'image_processor');
  if (part) return parseImageProcessor(part, { where: `${whole}: image_processor`, ...vision });
  const where = join(directory, 'preprocessor_config.json');
  const config = await readJsonObject(where, 'readModelSpec');
  return config ? parseImageProcessor(config, { where, ...vision }) : vision.processor;
}

/** The processor writes the image tokens into the prompt, and config.json says how many there are. */
function checkTokens(processor: Config, where: string, vision: VisionSpec): void {
  const read = readConfigNumbers(processor, where, { parser: 'readModelSpec' });
  const expect = (key: string, expected: number | string) => {
    const value = processor[key] ?? expected;
    if (value !== expected)
      read.refuse(`"${key}" is ${textOf(value)}, and by config.json it is ${textOf(expected)}`);
  };
  if (vision.tower === 'siglip') expect('image_seq_len', vision.tokenCount);
  else {
    expect('patch_size', vision.patchSizePixels);
    expect('vision_feature_select_strategy', vision.keepsClassToken ? 'full' : 'default');
    expect('num_additional_image_tokens', 1);
  }
  if ((processor['auto_map'] ?? null) !== null)
    read.refuse('"auto_map" names a processor of its own code, which is not run');
  read.done();
}
