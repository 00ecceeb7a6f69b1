/**
 * What a picture's file says before it is decoded. Each format's reader proves the file by its content and tells which of its parts make
 * pixels: the decoder gets those and nothing else, so that no profile, gain map or comment can change what it does.
 */
import { ModelError } from '../model-error.js';

export interface PictureHeader {
  readonly format: 'PNG' | 'JPEG' | 'WebP';
  /** As stored, before the picture is turned upright. */
  readonly width: number;
  readonly height: number;
  /** How samples become red, green and blue; `colour` also stands for grey, palettes and 16-bit colour. */
  readonly samples: 'colour' | 'grey16' | 'cmyk';
  /** Exif's orientation, 1 to 8. */
  readonly orientation: number;
  /** The ranges of the file that the decoder gets, `[start, end)`, in order. */
  readonly parts: readonly (readonly [start: number, end: number])[];
}

/** A file that is damaged: it names a format and does not keep to it. */
export const damagedPicture = (path: string, what: string, options?: ErrorOptions) =>
  new ModelError('MODEL_FILE_DAMAGED', 'readPicture', `cannot read ${path} as a picture: ${what}`, options);

/** A file that may be in order, but is not read. */
export const unsupportedPicture = (path: string, what: string) =>
  new ModelError(
    'MODEL_UNSUPPORTED',
    'readPicture',
    `cannot read ${path} as a picture: ${what}; PNG, JPEG and WebP are read`,
  );
