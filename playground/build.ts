/**
 * Writes the playground as a folder of static files, which any web server can offer.
 * Usage: npm run playground -- [--out DIRECTORY] [--serve] [--port N]
 */
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

import { build, type BuildOptions } from 'esbuild';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(import.meta.dirname, 'dist') },
    serve: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
  },
});
const { out } = values;
const here = import.meta.dirname;
const require = createRequire(import.meta.url);
const folderOf = (name: string) => dirname(require.resolve(`${name}/package.json`));
const shim = (name: string) => join(here, 'src', 'shims', `${name}.ts`);

/** What the packages take from Node, in the memory of the page; what it never asks for throws. */
const aliases: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'child_process',
      'dgram',
      'dns',
      'http',
      'https',
      'net',
      'os',
      'perf_hooks',
      'process',
      'tls',
      'url',
      'worker_threads',
    ]
      .flatMap((name) => [name, `node:${name}`])
      .map((name) => [name, shim('none')]),
  ),
  'node:stream/promises': shim('none'),
  fs: shim('fs'),
  'node:fs': shim('fs'),
  'node:fs/promises': shim('fs-promises'),
  crypto: shim('crypto'),
  'node:crypto': shim('crypto'),
  'node:module': shim('module'),
  'node:timers/promises': shim('timers-promises'),
  'node:vm': shim('vm'),
  'node:zlib': shim('zlib'),
  path: 'path-browserify',
  'node:path': 'path-browserify',
  'node:buffer': 'buffer',
  'node:events': 'events',
  stream: 'stream-browserify',
  'node:stream': 'stream-browserify',
  'node:util': 'util',
  sharp: shim('sharp'),
  '@resvg/resvg-js': shim('resvg'),
};
delete (aliases as Record<string, string>)['process'];

const common: BuildOptions = {
  outdir: out,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  platform: 'browser',
  conditions: ['@contextlora/source'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'linked',
  logLevel: 'warning',
};

await mkdir(join(out, 'model'), { recursive: true });
const dashboard = folderOf('@contextlora/dashboard');
await Promise.all([
  build({
    ...common,
    entryPoints: { page: join(here, 'src/page/main.tsx'), style: join(dashboard, 'src/page/style.css') },
  }),
  build({
    ...common,
    entryPoints: [join(here, 'src/worker/train-worker.ts')],
    splitting: true,
    alias: aliases,
    inject: [shim('globals')],
    define: { global: 'globalThis' },
  }),
]);
const planWorker = await build({
  ...common,
  entryPoints: [join(dashboard, 'src/page/plan-worker.ts')],
  format: 'iife',
  legalComments: 'none',
  write: false,
});
const benchmarks = folderOf('@contextlora/benchmarks');
const tfjsWasm = join(folderOf('@tensorflow/tfjs-backend-wasm'), 'wasm-out');
const files: Readonly<Record<string, string>> = {
  'tasks.yaml': join(benchmarks, 'scenarios/iov/tasks.yaml'),
  'noto.json': join(benchmarks, 'assets/noto.json'),
  'fluent.json': join(benchmarks, 'assets/fluent.json'),
  NOTICE: join(benchmarks, 'assets/NOTICE'),
  'resvg.wasm': require.resolve('@resvg/resvg-wasm/index_bg.wasm'),
  'tfjs-backend-wasm.wasm': join(tfjsWasm, 'tfjs-backend-wasm.wasm'),
  'tfjs-backend-wasm-simd.wasm': join(tfjsWasm, 'tfjs-backend-wasm-simd.wasm'),
  ...Object.fromEntries(
    ['config', 'generation_config', 'preprocessor_config', 'tokenizer', 'tokenizer_config']
      .map((name) => `${name}.json`)
      .concat('model.safetensors')
      .map((name) => [`model/${name}`, join(benchmarks, 'models/iov-base', name)]),
  ),
};
for (const [name, from] of Object.entries(files)) await cp(from, join(out, name));
await writeFile(join(out, 'index.html'), pageOf(planWorker.outputFiles[0]?.text ?? ''));
console.log(`wrote ${out}`);
await printSizes();
if (values.serve) await serve(Number(values.port));

function pageOf(planWorkerCode: string): string {
  const policy = [
    "default-src 'none'",
    // The kernels and resvg are WebAssembly.
    "script-src 'self' 'wasm-unsafe-eval' blob:",
    "worker-src 'self' blob:",
    "connect-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    'img-src data:',
    "form-action 'none'",
    "base-uri 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>ContextLoRA playground</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript.</noscript>
<script id="plan-worker" type="text/plain">${planWorkerCode}</script>
<script type="module" src="page.js"></script>
</body>
</html>
`;
}

/** Of what a run loads, as a server that compresses sends it. */
async function printSizes(): Promise<void> {
  const names = ['index.html', 'page.js', 'style.css', 'train-worker.js', ...Object.keys(files)];
  let total = 0;
  for (const name of names) {
    const bytes = gzipSync(await readFile(join(out, name))).length;
    total += bytes;
    console.log(`${name.padEnd(32)}${(bytes / 1000).toFixed(1).padStart(10)} kB gzipped`);
  }
  console.log(`${'together'.padEnd(32)}${(total / 1000).toFixed(1).padStart(10)} kB gzipped`);
}

/** On 127.0.0.1, until Ctrl-C. */
async function serve(port: number): Promise<void> {
  const types: Readonly<Record<string, string>> = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.json': 'application/json',
    '.wasm': 'application/wasm',
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1');
    const path = join(out, pathname === '/' ? 'index.html' : pathname);
    const respond = async () => {
      if (!path.startsWith(out) || !(await stat(path)).isFile()) throw new Error('no file');
      response.setHeader('content-type', types[extname(path)] ?? 'application/octet-stream');
      response.end(await readFile(path));
    };
    respond().catch(() => {
      response.statusCode = 404;
      response.end('there is nothing here');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  console.log(
    `the playground is at http://127.0.0.1:${(server.address() as AddressInfo).port}/ (Ctrl-C ends it)`,
  );
}
