/** What `dist/page.js` holds in the built package, bundled anew: for work on the sources. */
import { bundlePage } from './bundle-page.js';

export const { script, style, planWorker } = await bundlePage();
