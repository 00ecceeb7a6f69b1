/** The transpose of a matrix of bytes `[rows, columns]`. */
export function transposeBytes(values: Int8Array, rows: number, columns: number): Int8Array {
  const result = new Int8Array(values.length);
  // Tiles, because one side of a whole pass would miss the cache at every byte.
  const tile = 64;
  for (let top = 0; top < rows; top += tile)
    for (let left = 0; left < columns; left += tile)
      for (let column = left; column < Math.min(columns, left + tile); column++)
        for (let row = top; row < Math.min(rows, top + tile); row++)
          result[column * rows + row] = values[row * columns + column]!;
  return result;
}
