/**
 * Bundles tfjs-core and its wasm backend for the subpath `tfjs`: one CommonJS file that `import` and `require` share, with its types and
 * the backend's .wasm files next to it.
 *
 * A second file for `import` would be a second copy of tfjs in a process that loads both.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import type { Plugin } from 'esbuild';
import { build } from 'tsup';

const dist = join(import.meta.dirname, 'dist');

/** tfjs asks for node-fetch where there is no global `fetch`; Node has had one since version 18. */
const withoutNodeFetch: Plugin = {
  name: 'without-node-fetch',
  setup(context) {
    context.onResolve({ filter: /^node-fetch$/ }, ({ path }) => ({ path, namespace: 'nothing' }));
    context.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
  },
};

await build({
  config: false,
  entry: ['src/tfjs.ts'],
  format: ['cjs'],
  target: 'node20',
  platform: 'node',
  noExternal: [/^@tensorflow\//],
  dts: {
    // The types of tfjs import each other by relative paths.
    resolve: [/^@tensorflow\//, /^\./],
    // tsup sets `baseUrl`, which TypeScript 6 calls deprecated.
    compilerOptions: { ignoreDeprecations: '6.0' },
  },
  esbuildPlugins: [withoutNodeFetch],
  esbuildOptions(options) {
    // ES modules instead of the packages' CommonJS builds, so that Node finds the names of the exports.
    options.mainFields = ['module', 'main'];
    // NOTICE has them.
    options.legalComments = 'none';
    options.minifySyntax = true;
    options.minifyWhitespace = true;
  },
  // The package's other build is in the same folder.
  clean: false,
});

const backend = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
for (const file of readdirSync(backend).filter((name) => name.endsWith('.wasm')))
  copyFileSync(join(backend, file), join(dist, file));

for (const file of ['tfjs.js', 'tfjs.d.ts']) writeFileSync(join(dist, file), "export * from './tfjs.cjs';\n");

/** The browser's types in tfjs-core's signatures: Node's types omit them, and those of WebGPU and of long are packages. */
const foreign = [
  ...[
    'HTMLCanvasElement',
    'HTMLImageElement',
    'HTMLSourceElement',
    'HTMLVideoElement',
    'ImageBitmap',
    'ImageData',
  ],
  ...['Navigator', 'WebGLContextAttributes', 'WebGLTexture', 'GPUBuffer', 'Long'],
];
const types = join(dist, 'tfjs.d.cts');
const [reference = '', ...lines] = readFileSync(types, 'utf8').split('\n');
if (!reference.includes('<reference types="@webgpu/types'))
  throw new Error(`internal: ${types} begins with ${reference}`);
const declared = foreign.map(
  (name) =>
    `type ${name} = typeof globalThis extends { ${name}: { prototype: infer Known } } ? Known : object;`,
);
writeFileSync(types, [...declared, ...lines].join('\n'));
