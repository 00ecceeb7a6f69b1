/**
 * Compiles this folder to ../src/wasm/code.ts. Run it after a change here; a test compares the two.
 * Usage: node packages/kernels/assembly/build.mjs
 */
import { writeFile } from 'node:fs/promises';

import { compileWasm, sourceOf } from './compile.mjs';

await writeFile(new URL('../src/wasm/code.ts', import.meta.url), sourceOf(await compileWasm()));
