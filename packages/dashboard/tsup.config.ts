import { writeFile } from 'node:fs/promises';

import { library } from '../../tools/tsup.js';
import { bundlePage } from './src/bundle/bundle-page.js';

export default library({
  entry: { index: 'src/index.ts', cards: 'src/cards.ts' },
  esbuildOptions(options) {
    options.sourcesContent = false;
    options.jsx = 'automatic';
    options.jsxImportSource = 'preact';
  },
  external: ['#page'],
  async onSuccess() {
    const entries = Object.entries(await bundlePage()).map(
      ([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`,
    );
    await writeFile(new URL('dist/page.js', import.meta.url), entries.join(''));
  },
});
