/** The power of the whole board from its rails. */

export interface RailPower {
  readonly rail: string;
  readonly watts: number;
}

export interface TotalPower {
  readonly watts: number;
  /** The rail that measures the input, or `sum` of the rails: then the carrier board is not in it. */
  readonly from: string;
}

/** Rails that measure what comes in: TX1, TX2, Xavier NX, Orin NX and Nano; Nano; Thor. */
const inputRails = ['VDD_IN', 'POM_5V_IN', 'VIN'];

/**
 * Input power where a rail measures it, the sum of the rails elsewhere (AGX Xavier, AGX Orin); undefined without rails.
 *
 * `VDDQ_VDD2_1V8AO` is left out of the sum: it is taken to be fed from a rail already counted. `VIN_SYS_5V0` is one rail among
 * others, not the total.
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
