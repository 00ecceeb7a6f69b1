/**
 * The text of a picture within a prompt: its image tokens and, in Idefics3 and SmolVLM, the tokens that frame it and each tile
 * (transformers, processing_idefics3.py).
 */
import { ModelError } from '../model-error.js';
import type { ModelText } from '../text/model-text.js';

/** How `readImageTiles` split a picture; 0 rows and 0 columns for an unsplit picture. */
export interface TileLayout {
  readonly rows: number;
  readonly columns: number;
}

const unsplit: TileLayout = { rows: 0, columns: 0 };
const frame = '<fake_token_around_image>';

type Reader = Pick<ModelText, 'spec' | 'tokenizer'>;

/** Whether the model's tokenizer frames pictures, as those of the published Idefics3 and SmolVLM models do. */
export const framesImages = ({ tokenizer }: Reader) => tokenizer.idOf(frame) !== undefined;

/**
 * The text of one picture.
 *
 * @throws ModelError when the model has no vision tower, or the picture is split and the tokenizer has no tokens for tiles.
 */
export function imageText(model: Reader, { rows, columns }: TileLayout = unsplit): string {
  const { vision } = model.spec;
  const fail = (what: string): never => {
    throw new ModelError('MODEL_UNSUPPORTED', 'imageText', what);
  };
  if (!vision) return fail('the model has no vision tower, so no picture can stand in its prompt');
  const tokens = model.tokenizer.decode([vision.imageTokenId]).repeat(vision.tokenCount);
  if (!framesImages(model)) {
    if (rows === 0 && columns === 0) return tokens;
    return fail(
      `the picture is split into ${rows} × ${columns} tiles, but the tokenizer has no "${frame}"; read it unsplit, with readImage`,
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
 * A prompt, for example from a chat template, with its image tokens replaced in order by the texts of the pictures.
 *
 * @throws ModelError when the numbers of image tokens and pictures differ.
 */
export function withImageTexts(model: Reader, prompt: string, layouts: readonly TileLayout[]): string {
  const { vision } = model.spec;
  const token = vision && model.tokenizer.decode([vision.imageTokenId]);
  const parts = token ? prompt.split(token) : [prompt];
  if (parts.length !== layouts.length + 1)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'withImageTexts',
      `the prompt has ${parts.length - 1} image tokens${token ? ` "${token}"` : ''}, but ${layouts.length} pictures are given`,
    );
  return parts.map((part, i) => `${i === 0 ? '' : imageText(model, layouts[i - 1])}${part}`).join('');
}
