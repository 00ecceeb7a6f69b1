import { expect, test } from '@jest/globals';
import { compressWeight, expandWeight } from '@contextlora/kernels';
import { matrixRows } from '@contextlora/model';
import fc from 'fast-check';

const formats = ['f16', 'int8', 'q8_0', 'q4_0', 'q4_1'] as const;

test('rows of a compact matrix equal those of the expanded matrix, in any order and repeated', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...formats),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.nat(5), { maxLength: 8 }),
      (format, rowCount, blocks, wanted) => {
        const columns = 32 * blocks;
        const values = Float32Array.from({ length: rowCount * columns }, (_, i) => Math.sin(7 * i));
        const matrix = compressWeight(values, rowCount, columns, format);
        const whole = expandWeight(matrix, rowCount, columns);
        const rows = wanted.map((row) => row % rowCount);
        const expected = rows.flatMap((row) => [...whole.subarray(row * columns, (row + 1) * columns)]);
        expect([...matrixRows(matrix, rows, [rowCount, columns])]).toEqual(expected);
        expect(matrixRows(whole, rows, [rowCount, columns])).toEqual(Float32Array.from(expected));
      },
    ),
  );
});

test.each([-1, 2, 0.5])('row %p of a matrix of two is refused', (row) => {
  const matrix = compressWeight(new Float32Array(64), 2, 32, 'q8_0');
  for (const kept of [matrix, new Float32Array(64)])
    expect(() => matrixRows(kept, [0, row], [2, 32])).toThrow(
      `model/matrixRows: there is no row ${row}; the matrix has 2`,
    );
});
