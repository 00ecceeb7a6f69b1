/** Compares the logits that PEFT computes with each adapter of fixtures/adapters with ours; continues parity-checks.ts. */
import { readPeftFolder } from '@contextlora/lora/files';
import { languageLogits, visionFeatures, withAdapter } from '@contextlora/model';

import { batchOfGolden, fixture, Golden, worstDifference } from './golden.js';
import type { ParityCheck } from './parity-checks.js';

/** Folder → base. The others of the folder are refused; see adapters.test.ts. */
const adapters = {
  ...Object.fromEntries(
    [
      'gaussian',
      'orthogonal',
      'mica',
      'random',
      'eva',
      'pissa-converted',
      'patterns',
      'layers',
      'saved-embedding',
      'saved-embedding-tying',
      'saved-head',
      'saved-both',
      'saved-norms',
      'saved-unlisted',
      'head-llama-tiny',
      'embedding-llama-tiny',
      'embedding-tying',
    ].map((name) => [name, 'llama-tiny']),
  ),
  'saved-untied': 'qwen2-tiny',
  'saved-head-norms': 'qwen3-tiny',
  'head-qwen2-tiny': 'qwen2-tiny',
  'embedding-qwen2-tiny': 'qwen2-tiny',
  'head-and-embedding': 'qwen2-tiny',
  'usual-smolvlm-tiny': 'smolvlm-tiny',
  'linears-smolvlm-tiny': 'smolvlm-tiny',
  'connector-smolvlm': 'smolvlm-tiny',
  'usual-llava-tiny': 'llava-tiny',
  'linears-llava-tiny': 'llava-tiny',
  'projector-llava': 'llava-tiny',
  'older-names-llava': 'llava-tiny',
};

export const adapterChecks: readonly ParityCheck[] = Object.entries(adapters).map(([name, base]) => ({
  fixture: `adapters/${name}`,
  quantity: 'logits',
  tolerance: 1e-4,
  async measure(open) {
    const golden = await Golden.read('adapters', name, 'expected.safetensors');
    const adapted = withAdapter(await open(base), await readPeftFolder(fixture('adapters', name)));
    const { vision, spec, kernels } = adapted.model;
    const features =
      vision && spec.vision
        ? await visionFeatures([golden.floats('pixel_values')], vision, { spec: spec.vision, kernels })
        : [];
    const tokens = batchOfGolden(golden, features);
    const logits = languageLogits(adapted.model, tokens, {
      head: { rows: Int32Array.from(tokens.ids.keys()) },
      segments: adapted.segments,
    });
    const values = logits.dataSync();
    logits.dispose();
    adapted.dispose();
    return worstDifference(values, golden.floats('logits'));
  },
}));
