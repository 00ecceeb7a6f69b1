/**
 * Node's test environment with the typed arrays of the process itself.
 *
 * Jest runs tests in a realm of their own; native addons hand out arrays of the main realm, and a library that asks
 * `instanceof Float32Array` would refuse them.
 */
import { TestEnvironment } from 'jest-environment-node';

export default class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    Object.assign(this.global, {
      Float32Array,
      Float64Array,
      Int8Array,
      Int16Array,
      Int32Array,
      Uint16Array,
      Uint32Array,
      BigInt64Array,
      BigUint64Array,
    });
  }
}
