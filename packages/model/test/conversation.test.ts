import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import {
  cachedLogits,
  type Conversation,
  generate,
  type GenerateOptions,
  type GenerationResult,
  loadModel,
  type LoadedModel,
  openConversation,
} from '@contextlora/model';
import fc from 'fast-check';

import { fixture, segmentsOf, worstDifference } from './golden.js';

async function answerOf(
  model: LoadedModel,
  prompt: readonly number[],
  options: GenerateOptions & { conversation?: Conversation; stopAfter?: number } = {},
): Promise<GenerationResult | undefined> {
  const { stopAfter = Infinity, ...rest } = options;
  const events = generate(model, prompt, { endIds: [], maximumNewTokens: 6, ...rest });
  for (let i = 0; ; i++) {
    const { done, value } = await events.next();
    if (done) return value;
    if (i >= stopAfter) {
      await events.return(undefined as never);
      return undefined;
    }
  }
}

describe.each(['reference', 'wasm'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let model: LoadedModel;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    model = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  test('each turn reads only new tokens and answers as if it had read everything', async () => {
    const conversation = openConversation(model);
    let prompt = [1, 40, 41, 42];
    for (const [turn, more] of [[50, 51], [60], [70, 71, 72]].entries()) {
      const answer = (await answerOf(model, prompt, { conversation }))!;
      expect(answer.ids).toEqual((await answerOf(model, prompt))!.ids);
      expect(answer.promptTokens).toBe(prompt.length);
      // The last token of an answer was written but not read.
      expect(answer.cachedTokens).toBe(
        turn === 0 ? 0 : prompt.length - [[50, 51], [60]][turn - 1]!.length - 1,
      );
      prompt = [...prompt, ...answer.ids, ...more];
    }
    conversation.dispose();
  });

  test('successive prompts give what each gives alone, however they overlap and wherever an answer is cut off', async () => {
    const ids = fc.array(fc.integer({ min: 5, max: 8 }), { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ ids, stopAfter: fc.option(fc.nat(3), { nil: undefined }) }), {
          minLength: 2,
          maxLength: 4,
        }),
        async (turns) => {
          const conversation = openConversation(model);
          for (const { ids: prompt, stopAfter } of turns)
            await answerOf(model, prompt, {
              conversation,
              ...(stopAfter === undefined ? {} : { stopAfter }),
            });
          const last = [5, ...turns.at(-1)!.ids, 6];
          const kept = conversation.resume(last, {});
          expect(kept).toBeLessThan(last.length);
          const rows = (await cachedLogits(model, [{ ids: last.slice(kept) }], conversation.cache))[0]![0]!;
          const alone = openConversation(model);
          const expected = (await cachedLogits(model, [{ ids: last }], alone.cache))[0]![0]!;
          expect(worstDifference(rows, expected)).toBeLessThan(1e-4);
          alone.dispose();
          conversation.dispose();
        },
      ),
      { numRuns: 20 },
    );
  });

  test('tokens read with other segments are read again', async () => {
    const segments = await segmentsOf(model, ['lora-llama'], { train: false });
    const conversation = openConversation(model);
    const prompt = [1, 40, 41, 42, 43];
    await answerOf(model, prompt, { conversation });
    const adapted = (await answerOf(model, prompt, { conversation, segments }))!;
    expect(adapted.cachedTokens).toBe(0);
    expect(adapted.ids).toEqual((await answerOf(model, prompt, { segments }))!.ids);
    expect((await answerOf(model, prompt, { conversation, segments }))!.cachedTokens).toBe(prompt.length - 1);
    conversation.dispose();
  });

  test('an image is read as a whole or not at all', async () => {
    const seeing = await loadModel(fixture('smolvlm-tiny'), { kernels });
    const { tokenCount, imageTokenId, connector } = seeing.spec.vision!;
    const featuresOf = (seed: number) =>
      Float32Array.from({ length: tokenCount * connector.inFeatures }, (_, i) => Math.sin(seed * i));
    const [image, other] = [featuresOf(1), featuresOf(2)];
    const pictured = (...text: number[]) => [1, ...new Array<number>(tokenCount).fill(imageTokenId), ...text];
    const conversation = openConversation(seeing);
    for (const [prompt, seen, cachedTokens] of [
      [pictured(40, 41), image, 0],
      [pictured(40, 42), image, tokenCount + 2],
      [pictured(40, 42), other, 0],
      [pictured(), other, 1],
      [[1, 2, ...pictured(40).slice(1)], other, 1],
    ] as const) {
      const answer = (await answerOf(seeing, prompt, { conversation, image: seen }))!;
      expect(answer.cachedTokens).toBe(cachedTokens);
      expect(answer.ids).toEqual((await answerOf(seeing, prompt, { image: seen }))!.ids);
    }
    conversation.dispose();
    seeing.dispose();
  });
});
