/** Shows what is written into the page. */
import { render } from 'preact';

import { App, type PageData } from './app.js';

const data = JSON.parse(document.getElementById('data')?.textContent ?? '') as PageData;
const place = document.getElementById('app');
if (place) render(<App {...data} />, place);
