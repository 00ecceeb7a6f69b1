import { writeFile } from 'node:fs/promises';

import { library } from '../../tools/tsup.js';
import { bundlePage } from './src/bundle/bundle-page.js';

export default library({
  external: ['#page'],
  async onSuccess() {
    const entries = Object.entries(await bundlePage()).map(
      ([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`,
    );
    await writeFile(new URL('dist/page.js', import.meta.url), entries.join(''));
  },
});
