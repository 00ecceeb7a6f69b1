/**
 * The text that stands for a picture in a prompt: its image tokens and, in Idefics3 and SmolVLM, the tokens that frame it and each tile
 * (transformers, processing_idefics3.py).
 */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';

/** How a picture was split, as `readImageTiles` says; no rows and no columns when it is one image. */
export interface TileLayout {
  readonly rows: number;
  readonly columns: number;
}

const unsplit: TileLayout = { rows: 0, columns: 0 };
const frame = '<fake_token_around_image>';

type Reader = Pick<LoadedModel, 'spec' | 'tokenizer'>;

/** Whether the model's tokenizer frames pictures, as published Idefics3 and SmolVLM do. */
export const framesImages = ({ tokenizer }: Reader) => tokenizer.idOf(frame) !== undefined;

/**
 * The text of one picture.
 *
 * @throws ModelError when the model reads no pictures, or the picture is split and its tokenizer has no tokens for that.
 */
export function imageText(model: Reader, { rows, columns }: TileLayout = unsplit): string {
  const { vision } = model.spec;
  const fail = (what: string): never => {
    throw new ModelError('imageText', what);
  };
  if (!vision) return fail('the model has no vision tower, so no picture can stand in its prompt');
  const tokens = model.tokenizer.decode([vision.imageTokenId]).repeat(vision.tokenCount);
  if (!framesImages(model)) {
    if (rows === 0 && columns === 0) return tokens;
    return fail(
      `the picture is split into ${rows} × ${columns} tiles, and the tokenizer has no "${frame}"; read it unsplit, with readImage`,
    );
  }
  const tileRows = Array.from({ length: rows }, (_, row) =>
    Array.from(
      { length: columns },
      (_, column) => `${frame}<row_${row + 1}_col_${column + 1}>${tokens}`,
    ).join(''),
  );
  const tiles = tileRows.map((line) => `${line}\n`).join('');
  return `${tiles}${rows > 0 ? '\n' : ''}${frame}<global-img>${tokens}${frame}`;
}

/**
 * A prompt, such as a chat template writes it, with every image token replaced by the text of the picture that stands there, in order.
 *
 * @throws ModelError when there are more or fewer image tokens than pictures.
 */
export function withImageTexts(model: Reader, prompt: string, layouts: readonly TileLayout[]): string {
  const { vision } = model.spec;
  const token = vision && model.tokenizer.decode([vision.imageTokenId]);
  const parts = token ? prompt.split(token) : [prompt];
  if (parts.length !== layouts.length + 1)
    throw new ModelError(
      'withImageTexts',
      `the prompt has ${parts.length - 1} image tokens${token ? ` "${token}"` : ''}, and ${layouts.length} pictures are given`,
    );
  return parts.map((part, i) => `${i === 0 ? '' : imageText(model, layouts[i - 1])}${part}`).join('');
}
