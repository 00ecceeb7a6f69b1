/**
 * Bundles what is promised to run in a browser, from the built packages, and checks that it needs nothing of Node and stays small.
 *
 * Each import is bundled alone, and the entry point as a whole (`*`), which must run in a context that has nothing but JavaScript and
 * the encoding of text. Prints one line per bundle; exits 1 if any fails.
 */
import { isBuiltin } from 'node:module';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

/** Entry point, imported names, and the largest size allowed in kB: minified, and minified and gzipped (measured size + 10 %). */
const budgets = [
  ['@contextlora/lora', 'masksFor', 0.8, 0.6],
  ['@contextlora/lora', '*', 16.4, 7.2],
  ['@contextlora/lora/safetensors', '*', 7.0, 3.1],
  ['@contextlora/task-graph', 'buildTaskGraph', 112.6, 28.8],
  ['@contextlora/task-graph', '*', 304.2, 84.8],
  ['@contextlora/trainer', 'planPhases', 112.8, 28.8],
  ['@contextlora/trainer', '*', 156.5, 46.4],
  ['@contextlora/scheduler', 'plan, simulate', 134, 51.8],
  ['@contextlora/scheduler', '*', 142, 54.5],
];

let failed = 0;
console.log(`${'import'.padEnd(52)}${'minified'.padStart(10)}${'gzip'.padStart(10)}`);
for (const [entry, names, minifiedLimit, gzipLimit] of budgets) {
  const title = names === '*' ? `* from ${entry}` : `{ ${names} } from ${entry}`;
  const code = await bundle(entry, names);
  const problems = typeof code === 'string' ? [] : code;
  let sizes = '';
  if (typeof code === 'string') {
    const minified = code.length / 1000;
    const gzip = gzipSync(code).length / 1000;
    sizes = `${minified.toFixed(1).padStart(10)}${gzip.toFixed(1).padStart(10)}`;
    if (minified > minifiedLimit || gzip > gzipLimit)
      problems.push(
        `larger than ${minifiedLimit} kB minified, ${gzipLimit} kB gzipped; if that is meant, raise the budget`,
      );
    try {
      runInContext(
        code,
        createContext({ TextEncoder: globalThis.TextEncoder, TextDecoder: globalThis.TextDecoder }),
      );
    } catch (error) {
      problems.push(`fails without Node: ${error.message}`);
    }
  }
  console.log(`${title.padEnd(52)}${sizes}${problems.map((problem) => `\n  FAIL ${problem}`).join('')}`);
  failed += problems.length;
}
process.exitCode = failed > 0 ? 1 : 0;

/** The minified code, or the modules of Node that it would need. */
async function bundle(entry, names) {
  const statement =
    names === '*'
      ? `import * as all from '${entry}'; globalThis.used = all;`
      : `import { ${names} } from '${entry}'; globalThis.used = [${names}];`;
  const builtins = [];
  const findBuiltins = {
    name: 'find-builtins',
    setup(context) {
      context.onResolve({ filter: /.*/ }, async ({ path, pluginData, ...options }) => {
        if (pluginData === 'asked' || !isBuiltin(path)) return undefined;
        // A package of the same name, such as "events", is no module of Node.
        const found = path.startsWith('node:')
          ? { errors: [true] }
          : await context.resolve(path, { ...options, pluginData: 'asked' });
        if (found.errors.length === 0) return found;
        builtins.push(`needs ${path} of Node, imported by ${options.importer}`);
        return { path, external: true };
      });
    },
  };
  const { outputFiles } = await build({
    stdin: { contents: statement, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
    plugins: [findBuiltins],
  });
  return builtins.length > 0 ? builtins : outputFiles[0].text;
}
