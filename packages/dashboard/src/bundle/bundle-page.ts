/** Bundles what runs in the browser: the page with its style, and the worker that plans. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, type BuildOptions } from 'esbuild';

export interface BundledPage {
  readonly script: string;
  readonly style: string;
  readonly planWorker: string;
}

/** Equal sources give equal bytes. */
export async function bundlePage(): Promise<BundledPage> {
  const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'page');
  const common: BuildOptions & { readonly write: false } = {
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
    platform: 'browser',
    conditions: ['@contextlora/source'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
  };
  const [page, worker] = await Promise.all([
    build({ ...common, entryPoints: [join(folder, 'main.tsx'), join(folder, 'style.css')], outdir: 'out' }),
    build({ ...common, entryPoints: [join(folder, 'plan-worker.ts')] }),
  ]);
  const textOf = (files: readonly { readonly path: string; readonly text: string }[], ending: string) =>
    files.find(({ path }) => path.endsWith(ending))?.text ?? '';
  return {
    script: textOf(page.outputFiles, '.js'),
    style: textOf(page.outputFiles, '.css'),
    planWorker: worker.outputFiles[0]?.text ?? '',
  };
}
