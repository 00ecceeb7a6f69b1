/** Compiles the wasm module from its AssemblyScript sources. */
import { fileURLToPath } from 'node:url';

import asc from 'assemblyscript/asc';

export async function compileWasm() {
  let bytes;
  const { error, stderr } = await asc.main(
    [
      'index.ts',
      ...['--baseDir', fileURLToPath(new URL('.', import.meta.url)), '--outFile', 'out.wasm', '-O3'],
      // It runs in the memory of the tfjs wasm backend and allocates nothing there.
      ...['--importMemory', '--runtime', 'stub', '--noAssert', '--enable', 'simd'],
    ],
    {
      writeFile(name, contents) {
        if (name === 'out.wasm') bytes = contents;
      },
    },
  );
  if (error || !bytes) throw new Error(`the wasm module does not compile: ${stderr.toString()}`);
  return bytes;
}

/** The TypeScript file that carries the bytes. */
export function sourceOf(bytes) {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .match(/.{1,100}/g)
    .map((line) => `  '${line}',`);
  return [
    '/** Generated from assembly/ by assembly/build.mjs. */',
    'export const wasmCode = [',
    ...lines,
    "].join('');",
    '',
  ].join('\n');
}
