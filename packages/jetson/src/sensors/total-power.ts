/** The power of the whole board from its rails. */

export interface RailPower {
  readonly rail: string;
  readonly watts: number;
}

export interface TotalPower {
  readonly watts: number;
  /** The rail that measures the input, or `sum` for the sum of all rails, which excludes the carrier board. */
  readonly from: string;
}

/** Rails that measure the input: of TX1, TX2, Xavier NX, Orin NX and Orin Nano; of Nano; of Thor. */
const inputRails = ['VDD_IN', 'POM_5V_IN', 'VIN'];

/**
 * Computes a board's power: the input rail's where there is one, else (AGX Xavier, AGX Orin) the sum of the rails; undefined without rails.
 *
 * The sum leaves out `VDDQ_VDD2_1V8AO`, which we assume to be fed from another rail, and includes `VIN_SYS_5V0`, which is not the total.
 */
export function totalPower(rails: readonly RailPower[]): TotalPower | undefined {
  const input = inputRails
    .map((name) => rails.find(({ rail }) => rail === name))
    .find((rail) => rail !== undefined);
  if (input) return { watts: input.watts, from: input.rail };
  const counted = rails.filter(({ rail }) => rail !== 'NC' && rail !== 'VDDQ_VDD2_1V8AO');
  if (counted.length === 0) return undefined;
  return { watts: counted.reduce((sum, { watts }) => sum + watts, 0), from: 'sum' };
}
