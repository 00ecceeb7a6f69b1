/** Values of four bits, two a byte: number i of 32 in the low half of byte i, number i + 16 in its high half. */

/** Writes 16 bytes: the nearest of 0 to 15 to (value − offset) / scale. */
export function packNibbles(
  values: Float32Array,
  to: Uint8Array,
  { scale, offset }: { readonly scale: number; readonly offset: number },
): void {
  const digit = (value: number) =>
    scale === 0 ? 0 : Math.min(15, Math.max(0, Math.round((value - offset) / scale)));
  for (let i = 0; i < 16; i++) to[i] = digit(values[i]!) | (digit(values[i + 16]!) << 4);
}
