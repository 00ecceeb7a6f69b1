/** Names as parts of keys and subjects. */

/** A name in characters that subjects and keys may have; different names stay different. */
export const keyToken = (name: string): string =>
  name.replace(/[^A-Za-z0-9_-]/gu, (character) =>
    [...new TextEncoder().encode(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  );
