/** The post-processor of a tokenizer.json: which tokens a plain text is framed with. */
import { ModelError } from '../model-error.js';
import { type Parts, partsOf } from './tokenizer-parts.js';

/** The ids before a text, and those after it. */
type Frame = readonly [before: readonly number[], after: readonly number[]];

/**
 * The begin token that goes before a plain text, if one does.
 *
 * @throws ModelError when a text would get other tokens, because a prompt has room for a begin token only.
 */
export function framingOf(json: unknown, where: string): { readonly beginId?: number } {
  if (json === null || json === undefined) return {};
  const [before, after] = frameOf(json, where);
  if (after.length > 0 || before.length > 1)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readTokenizer',
      `${where}: its post_processor puts ${before.length} tokens before a text and ${after.length} after it; only one begin token before it is supported`,
    );
  return before[0] === undefined ? {} : { beginId: before[0] };
}

function frameOf(json: unknown, where: string): Frame {
  const part = partsOf(json, 'post_processor', where);
  switch (part.type) {
    case 'ByteLevel':
      return [[], []];
    case 'Sequence': {
      const frames = ((part['processors'] ?? []) as unknown[]).map((one) => frameOf(one, where));
      return [frames.toReversed().flatMap(([before]) => before), frames.flatMap(([, after]) => after)];
    }
    case 'BertProcessing':
    case 'RobertaProcessing':
      return [[idIn(part['cls'])], [idIn(part['sep'])]];
    case 'TemplateProcessing':
      return templateFrame(part);
    default:
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'readTokenizer',
        `${where}: the post_processor "${part.type}" is not supported`,
      );
  }
}

const idIn = (pair: unknown) => Number((pair as unknown[] | undefined)?.[1]);

function templateFrame(part: Parts): Frame {
  const ids = (part['special_tokens'] ?? {}) as Readonly<Record<string, { ids?: number[] } | undefined>>;
  const frame: [number[], number[]] = [[], []];
  let side: 0 | 1 = 0;
  for (const piece of (part['single'] ?? []) as { SpecialToken?: { id: string }; Sequence?: object }[])
    if (piece.SpecialToken) frame[side].push(...(ids[piece.SpecialToken.id]?.ids ?? []));
    else side = 1;
  return frame;
}
